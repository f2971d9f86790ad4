"""The ticker: intended moments lie on the schedule, whatever the loop was busy with."""

from __future__ import annotations

import asyncio
import time

from bench.ticker import Ticker

INTERVAL_NS = 2_000_000


async def test_ticks_lie_on_the_schedule_and_none_is_lost() -> None:
    start_ns = time.monotonic_ns() + INTERVAL_NS
    moments: list[int] = []
    ticker = Ticker(moments.append, INTERVAL_NS, start_ns)
    await asyncio.sleep(0.01)
    time.sleep(0.02)  # a loop that is late must not move what was intended
    await asyncio.sleep(0.01)
    ticker.stop()
    ticker.stop()
    assert len(moments) >= 15
    assert moments == [start_ns + n * INTERVAL_NS for n in range(len(moments))]


async def test_a_tick_may_stop_its_ticker() -> None:
    moments: list[int] = []

    def tick(intended_ns: int) -> None:
        moments.append(intended_ns)
        ticker.stop()

    ticker = Ticker(tick, 100_000)
    await asyncio.sleep(0.02)
    assert len(moments) == 1
