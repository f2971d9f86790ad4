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


async def test_it_waits_for_a_clock_that_is_behind_the_loop_s() -> None:
    rung: list[float] = []
    began = time.monotonic()

    def slow() -> float:
        return began + (time.monotonic() - began) / 4

    Alarm(slow, 0.02, lambda: rung.append(slow()))
    await asyncio.sleep(0.04)
    assert not rung
    await asyncio.sleep(0.2)
    assert len(rung) == 1 and rung[0] >= began + 0.02


async def test_it_is_silent_once_nobody_waits() -> None:
    rung: list[bool] = []
    alarm = Alarm(time.monotonic, 0.01, lambda: rung.append(True))
    alarm.cancel()
    await asyncio.sleep(0.03)
    assert not rung
