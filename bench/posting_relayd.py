"""`python -m bench.posting_relayd OUT RECORDS PER_SECOND WORDS...`: relayd, given records.

Besides the calls that it relays, its meter is given RECORDS records at PER_SECOND, as calls that
end would: each is a line of the journal and is then stored by the flush. OUT is written when all
of them are in the store: what the event loop, the flush and the WAL did meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from array import array
from pathlib import Path
from typing import Final

from bench.sample import percentile
from relayd import daemon
from relayd.app import App
from relayd.cli import main
from relayd.control import account
from relayd.core.record import CallRecord
from relayd.core.ulid import ulid
from relayd.jobs.flush import Flush
from relayd.store.db import Database

DAYS: Final = 90
"""Over which the records' starts are spread."""
ACCOUNTS: Final = 200
MODELS: Final = ("gpt-4o-mini", "gpt-4.1", "o4-mini", "claude-sonnet-4-5")
SLICE_SECONDS: Final = 0.01
QUIET_SECONDS: Final = 5.0
"""Calls alone, before the first record: what the loop's lag is compared with."""
_ns: Final = time.monotonic_ns


class Watched:
    """Lags of the loop, flushes, checkpoints and sizes of the WAL."""

    def __init__(self) -> None:
        self.lags_ms = array("d")
        self.quiet = 0
        self.flushing_seconds = 0.0
        self.checkpoints_ms: list[float] = []
        self.unflushed = 0
        self.wal_bytes = 0

    async def probe(self) -> None:
        """Until it is cancelled: asks to be run again after each millisecond."""
        while True:
            due = _ns() + 1_000_000
            await asyncio.sleep(0.001)
            self.lags_ms.append(max(0.0, (_ns() - due) / 1e6))

    def figures(self, seconds: float, records: int) -> dict[str, float]:
        """What came out; names end with their unit."""
        before, during = self.lags_ms[:self.quiet].tolist(), self.lags_ms[self.quiet:].tolist()
        return {
            "posted_per_s": records / seconds,
            "able_per_s": records / self.flushing_seconds,
            "flush_duty_percent": 100 * self.flushing_seconds / seconds,
            "unflushed_most": float(self.unflushed), "wal_most_mib": self.wal_bytes / 2**20,
            "checkpoints": float(len(self.checkpoints_ms)),
            "checkpoint_p50_ms": percentile(self.checkpoints_ms, 0.5),
            "checkpoint_most_ms": max(self.checkpoints_ms, default=0.0),
            "quiet_lag_p99_ms": percentile(before, 0.99), "lag_p50_ms": percentile(during, 0.5),
            "lag_p99_ms": percentile(during, 0.99), "lag_p999_ms": percentile(during, 0.999),
            "lag_most_ms": max(during, default=0.0),
        }


WATCHED: Final = Watched()


def watch_flush(flush: Flush) -> None:
    """Times its flushes."""
    inner = flush.flush

    async def timed() -> bool:
        began = _ns()
        try:
            return await inner()
        finally:
            WATCHED.flushing_seconds += (_ns() - began) / 1e9

    flush.flush = timed  # type: ignore[method-assign]


def watch_checkpoints(db: Database) -> None:
    """Times them, with the wait for the writer."""
    inner = db.checkpoint

    async def timed() -> bool:
        began = _ns()
        try:
            return await inner()
        finally:
            WATCHED.checkpoints_ms.append((_ns() - began) / 1e6)

    db.checkpoint = timed  # type: ignore[method-assign]


class Calls:
    """Plausible records: few accounts make most calls, a key has two models.

    One of the accounts is `known`, an account's id: who is asked about.
    """

    def __init__(self, count: int, known: str) -> None:
        self.accounts = [f"acct_{number:026d}" for number in range(ACCOUNTS)]
        self.accounts[7] = known
        self.dice = random.Random(7)
        self.step_ms = DAYS * 86_400_000 / count
        self.start_ms = time.time_ns() // 1_000_000 - DAYS * 86_400_000
        self.number = 0

    def next(self) -> CallRecord:
        """One more, a little later than the last one."""
        dice, number = self.dice, self.number
        self.number += 1
        of = int(ACCOUNTS * dice.random() ** 3)
        at_ms = self.start_ms + int(number * self.step_ms)
        model = MODELS[(of + (number & 1)) % len(MODELS)]
        spent = dice.randrange(100, 60_000)
        return CallRecord(
            id=ulid(at_ms, number.to_bytes(10, "big")), started_at_ms=at_ms,
            account=self.accounts[of], key=f"key_{2 * of + (number & 1):026d}", app=None,
            api="openai", endpoint="/v1/chat/completions", model=model, provider="openai",
            provider_model=model, stream=bool(number & 3), status=200, outcome="completed",
            error=None, attempts=1, input_tokens=spent, output_tokens=spent >> 5,
            cache_read_input_tokens=spent >> 1, cache_creation_input_tokens=0,
            reasoning_output_tokens=spent >> 7, audio_input_tokens=0, audio_output_tokens=0,
            counted_input_tokens=spent - 3, counted_output_tokens=spent >> 5,
            usage_source="reported", amount_nano=spent * 2500, currency="USD",
            first_byte_ms=spent / 100, duration_ms=spent / 10)


class Posting(App):
    """The app, whose meter is given records from its start on."""

    async def start(self) -> None:
        """As ever."""
        await super().start()
        self.posting = asyncio.get_running_loop().create_task(self._post())

    async def _post(self) -> None:
        flush = self._flush
        assert flush is not None
        watch_flush(flush)
        watch_checkpoints(self.db)
        probe = asyncio.get_running_loop().create_task(WATCHED.probe())
        await asyncio.sleep(QUIET_SECONDS)
        WATCHED.quiet, WATCHED.flushing_seconds = len(WATCHED.lags_ms), 0.0
        began, posted = _ns(), flush.posted
        await self._feed(flush)
        # not until memory is empty: calls come in beside, and on a slow machine it never is
        while not await flush.flush():
            await asyncio.sleep(SLICE_SECONDS)
        seconds = (_ns() - began) / 1e9
        probe.cancel()
        out = Path(sys.argv[1])
        part = out.with_suffix(".part")
        part.write_text(json.dumps(WATCHED.figures(seconds, flush.posted - posted)), "utf-8")
        part.rename(out)

    async def _feed(self, flush: Flush) -> None:
        count, per_second = int(sys.argv[2]), float(sys.argv[3])
        (one,) = await account.listing(self.db)
        calls, memory = Calls(count, one.id), flush._memory
        append = memory.append  # type: ignore[attr-defined]
        began = _ns()
        while calls.number < count:
            due = min(count, int((_ns() - began) / 1e9 * per_second))
            # no more than a slice at once, however late it is: the lag must not be the feeder's
            for _ in range(min(due - calls.number, int(2 * per_second * SLICE_SECONDS))):
                append(calls.next())
            WATCHED.unflushed = max(WATCHED.unflushed, len(memory))
            WATCHED.wal_bytes = max(WATCHED.wal_bytes, self.db.sizes().get("wal", 0))
            await asyncio.sleep(SLICE_SECONDS)


if __name__ == "__main__":
    daemon.App = Posting  # type: ignore[misc]
    sys.exit(main(sys.argv[4:]))
