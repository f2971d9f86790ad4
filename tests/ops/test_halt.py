"""The word to stop: it ends a sleep, and none follows."""

from __future__ import annotations

import asyncio
import time

from relayd.ops.halt import Halt


async def test_a_sleep_passes_or_is_ended() -> None:
    halt = Halt()
    assert not halt.given and not await halt.comes_within(0.01)
    sleep = asyncio.create_task(halt.comes_within(60))
    await asyncio.sleep(0)
    assert not sleep.done()
    halt.give()
    began = time.monotonic()
    assert await asyncio.wait_for(sleep, 5) and halt.given
    assert await halt.comes_within(60) and time.monotonic() - began < 5
