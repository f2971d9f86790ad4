"""Event-loop lag: seen when the loop is held, forgotten with its window."""

from __future__ import annotations

import asyncio
import time

from relayd.ops.metrics_loop import WINDOW_SAMPLES, LoopLag


async def test_a_held_loop_is_seen() -> None:
    lag = LoopLag(0.01)
    assert lag.worst_seconds() == 0.0
    task = asyncio.get_running_loop().create_task(lag.run())
    await asyncio.sleep(0.02)
    time.sleep(0.15)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert 0.1 < lag.worst_seconds() < 5
    assert lag.worst_seconds() == lag.worst_seconds()


async def test_the_window_moves_on() -> None:
    lag = LoopLag(0.0005)
    lag._samples.append(99.0)
    task = asyncio.get_running_loop().create_task(lag.run())
    for _ in range(400):
        await asyncio.sleep(0.005)
        if lag.worst_seconds() < 99:
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert lag.worst_seconds() < 99 and len(lag._samples) == WINDOW_SAMPLES
