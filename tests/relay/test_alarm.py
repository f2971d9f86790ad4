"""Alarms ring once, never before their time by the waiter's own clock, and not when cancelled."""

from __future__ import annotations

import asyncio
import time

from relayd.relay.alarm import Alarm


async def test_it_rings_once_and_never_early() -> None:
    rung: list[float] = []
    began = time.monotonic()
    Alarm(time.monotonic, 0.01, lambda: rung.append(time.monotonic()))
    await asyncio.sleep(0.05)
    assert len(rung) == 1 and rung[0] >= began + 0.01


async def test_an_alarm_never_comes_early() -> None:
    """Timers of the loop do, by up to a millisecond and more after a long turn."""
    loop = asyncio.get_running_loop()
    clock = [0.0]
    rung = asyncio.Event()
    Alarm(lambda: clock[0], 0.001, rung.set)
    await asyncio.sleep(0.02)  # the loop's time has come, the waiter's has not
    assert not rung.is_set()
    clock[0] = 0.001
    async with asyncio.timeout(1):
        await rung.wait()
    late = asyncio.Event()
    alarm = Alarm(loop.time, 0.001, late.set)
    alarm.cancel()
    await asyncio.sleep(0.02)
    assert not late.is_set()
