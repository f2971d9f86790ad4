"""kill -9 at random instants under load: every call is in the ledger, once, as far as it came."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from tests.fakes.daemon import own_loop
from tests.long.books import Tally, compare, records_since
from tests.long.load import Load
from tests.long.provider import Provider
from tests.long.relays import LONG, Relay, Setting, new_store, spread

ROUNDS = 100 if LONG else 2
LOAD_SECONDS = (0.3, 3.0) if LONG else (0.5, 1.0)
DURING_START = 5
"""One round in so many has a second kill while the daemon starts and recovers."""
EARLY_SHARE_MAX = 0.001


def test_kill_9_loses_and_doubles_no_call(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    with own_loop() as run:
        tally, relay = run(_rounds(tmp_path, random.Random(seed)))
    seconds = [event["seconds"] for event in relay.recovered]
    print(f"\nkill -9, {ROUNDS} rounds (seed {seed}): {tally}")
    print(f"exec to ready after a crash, s (least / median / most): {spread(relay.ready_seconds)};"
          f" of it until the journal was replayed: {spread(seconds)}")
    assert tally.early <= max(1, tally.whole * EARLY_SHARE_MAX)


async def _rounds(directory: Path, dice: random.Random) -> tuple[Tally, Relay]:
    total = Tally()
    async with Provider() as provider:
        setting = Setting(provider.port, directory / "store")
        key = await new_store(setting.store)
        relay = Relay(directory / "relay", setting)
        load = Load(relay.address, key)
        await relay.start()
        relay.ready_seconds.clear()
        try:
            for number in range(ROUNDS):
                tally = await _round(relay, load, provider, dice, number)
                if LONG:
                    print(f"round {number}: {tally}", flush=True)
                tally.check()
                total += tally
            await relay.stop()
            await relay.verify()
            assert len(await records_since(setting.store, 0)) == total.records
        finally:
            await relay.kill()
            load.close()
    return total, relay


async def _round(
    relay: Relay, load: Load, provider: Provider, dice: random.Random, number: int
) -> Tally:
    since = time.time_ns() // 1_000_000
    provider.seen.clear()
    running = asyncio.create_task(load.run(60.0))
    await asyncio.sleep(dice.uniform(*LOAD_SECONDS))
    await relay.kill()
    load.stop()
    await running
    await load.ended()
    await provider.left()
    if number % DURING_START == DURING_START - 1:
        await relay.start(wait=False)
        await asyncio.sleep(dice.uniform(0.2, 1.5))
        await relay.kill()
    await relay.start()
    found = await records_since(relay.store, since)
    await relay.verify()
    return compare(load.take(), provider.seen, found)
