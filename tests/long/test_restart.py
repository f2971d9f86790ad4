"""Restarts under load: no call fails, no stream is cut, no record is lost."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relayd.core.record import CallRecord
from tests.fakes.daemon import own_loop
from tests.long.books import Tally, compare, records_since
from tests.long.load import Load
from tests.long.provider import Provider
from tests.long.relays import LONG, Relay, Setting, new_store, spread

ROUNDS = 20 if LONG else 1
RATE = 200 if LONG else 100
LOAD_SECONDS = 1.0 if LONG else 0.5
FLUSHED_SECONDS = 10.0
Restart = Callable[[Relay, Relay], Awaitable[None]]


async def stop_and_start(old: Relay, new: Relay) -> None:
    """As systemd does it: what connects meanwhile waits in the socket that it holds."""
    await old.stop()
    await new.start()


async def start_and_stop(old: Relay, new: Relay) -> None:
    """As an operator does who has two of them: for a while both serve."""
    await new.start()
    await old.stop()


@pytest.mark.parametrize("way", ["activation", "activation, both", "reuse_port, both"])
def test_a_restart_under_load_fails_no_call(tmp_path: Path, way: str) -> None:
    with own_loop() as run:
        tally, seconds, slowest = run(_rounds(tmp_path, way))
    print(f"\nrestart under load, {way}, {ROUNDS} times: {tally}")
    print(f"one restart took, s (least / median / most): {spread(seconds)};"
          f" the slowest call, s: {spread(slowest)}")


async def _rounds(directory: Path, way: str) -> tuple[Tally, list[float], list[float]]:
    total, seconds, slowest = Tally(), [], []
    with socket.socket() as held:
        async with Provider() as provider:
            pair = _pair(directory, way, provider.port, held)
            key = await new_store(pair[0].store)
            load = Load(pair[0].address, key, RATE)
            await pair[0].start()
            restart = start_and_stop if way.endswith("both") else stop_and_start
            try:
                for number in range(ROUNDS):
                    old, new = pair[number % 2], pair[1 - number % 2]
                    tally, took = await _round(load, provider, old, new, restart)
                    slowest.append(max(call.took for call in load.take()))
                    if LONG:
                        print(f"{way} {number}: {tally}; slowest {slowest[-1]:.2f} s", flush=True)
                    tally.check()
                    assert not tally.failures and tally.whole == tally.completed == tally.calls, (
                        str(tally))
                    total += tally
                    seconds.append(took)
            finally:
                for relay in pair:
                    await relay.kill()
                load.close()
    return total, seconds, slowest


def _pair(directory: Path, way: str, port: int, held: socket.socket) -> tuple[Relay, Relay]:
    """Two daemons of one store and one address."""
    setting = Setting(port, directory / "store", drain_seconds=30.0)
    if way.endswith("both"):
        setting = replace(setting, more_store="shared = true")
    if way.startswith("activation"):
        held.bind(("127.0.0.1", 0))
        held.listen(4096)
        setting = replace(setting, listen="systemd", inherit=held.fileno())
    else:
        setting = replace(setting, server="reuse_port = true")
    pair = Relay(directory / "one", setting), Relay(directory / "two", setting)
    address = held.getsockname() if setting.inherit >= 0 else pair[0].address
    for relay in pair:
        relay.address = address
    return pair


async def _round(
    load: Load, provider: Provider, old: Relay, new: Relay, restart: Restart
) -> tuple[Tally, float]:
    since = time.time_ns() // 1_000_000
    provider.seen.clear()
    running = asyncio.create_task(load.run(60.0))
    await asyncio.sleep(LOAD_SECONDS)
    began = time.monotonic()
    await restart(old, new)
    took = time.monotonic() - began
    await asyncio.sleep(LOAD_SECONDS)
    load.stop()
    await running
    await load.ended()
    found = await _flushed(new.store, since, len(load.calls))
    await new.verify()
    return compare(load.calls, provider.seen, found), took


async def _flushed(store: Path, since_ms: int, count: int) -> list[CallRecord]:
    """The records, once there are so many."""
    began = time.monotonic()
    while True:
        found = await records_since(store, since_ms)
        if len(found) >= count or time.monotonic() - began > FLUSHED_SECONDS:
            return found
        await asyncio.sleep(0.2)
