"""Beats: pauses that end together, that are cut short, and that go on where nothing is due."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.ops.beat import SHORTEST, Beat, next_beat


@given(now=st.floats(0, 1e7), seconds=st.sampled_from((0.01, 0.25, 0.5, 1.0, 2.0, 5.0)))
def test_the_next_beat_is_a_multiple_and_not_too_near(now: float, seconds: float) -> None:
    beat = next_beat(now, seconds)
    assert SHORTEST * seconds - 1e-6 <= beat - now <= (1 + SHORTEST) * seconds + 1e-6
    assert beat / seconds == pytest.approx(round(beat / seconds), abs=1e-4)


async def test_pauses_of_one_length_end_together() -> None:
    ends: list[float] = []

    async def pause(after: float, seconds: float) -> None:
        await asyncio.sleep(after)
        beat = Beat(seconds)
        for _ in range(2):
            assert await beat.wait()
            ends.append(beat.due % 0.2)
            assert -0.002 < time.monotonic() - beat.due < 5

    await asyncio.gather(pause(0.0, 0.2), pause(0.03, 0.2), pause(0.07, 0.4))
    # on a circle: a moment just before a beat is one just after it
    assert max(ends) - min(ends) < 1e-6 or max(ends) - min(ends) > 0.2 - 1e-6


async def test_nothing_goes_on_where_nothing_is_due() -> None:
    asked = 0

    def is_due() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    beat = Beat(0.01, is_due)
    assert await beat.wait()
    assert asked == 3


async def test_a_poke_ends_this_pause_or_the_next() -> None:
    beat = Beat(60.0, lambda: False)
    waiting = asyncio.create_task(beat.wait())
    await asyncio.sleep(0)
    beat.poke()
    async with asyncio.timeout(5):
        assert await waiting
        beat.poke()
        assert await beat.wait()
    waiting = asyncio.create_task(beat.wait())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    beat.stop()
    async with asyncio.timeout(5):
        assert not await waiting and not await beat.wait()


async def test_a_pause_that_is_cancelled_leaves_no_timer() -> None:
    beat = Beat(0.02)
    waiting = asyncio.create_task(beat.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert beat._timer is not None and beat._timer.cancelled()
    beat.stop()
    assert not await beat.wait()
