"""The loop that does not sleep while there are calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from relayd.relay.busy import LINGER_SECONDS, BusyPoll


class Ground:
    """A loop's queue and a clock, by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.queue: deque[Callable[[], None]] = deque()
        self.busy = BusyPoll(lambda: self.now, self.queue.append)

    def turns(self, count: int) -> int:
        """How many of `count` turns had something to run."""
        ran = 0
        for _ in range(count):
            if self.queue:
                self.queue.popleft()()
                ran += 1
        return ran


def test_without_calls_the_loop_sleeps() -> None:
    ground = Ground()
    ground.busy.look(True, 0)
    assert not ground.queue and not ground.busy.awake


def test_where_it_is_not_wanted_the_loop_sleeps_beside_calls() -> None:
    ground = Ground()
    ground.busy.look(False, 7)
    assert not ground.queue and not ground.busy.awake


def test_while_calls_are_seen_every_turn_has_something_to_run() -> None:
    ground = Ground()
    for _ in range(20):
        ground.busy.look(True, 1)
        assert ground.turns(50) == 50
        ground.now += LINGER_SECONDS / 2
    assert ground.busy.awake


def test_after_the_last_call_it_lingers_and_then_sleeps() -> None:
    ground = Ground()
    ground.busy.look(True, 1)
    ground.busy.look(True, 0)
    ground.now += LINGER_SECONDS * 0.9
    assert ground.turns(10) == 10
    ground.now += LINGER_SECONDS * 0.2
    assert ground.turns(10) == 1
    assert not ground.busy.awake
    ground.busy.look(True, 1)
    assert ground.turns(10) == 10


def test_looking_again_does_not_poll_twice() -> None:
    ground = Ground()
    ground.busy.look(True, 1)
    ground.busy.look(True, 1)
    assert len(ground.queue) == 1


def test_a_reload_ends_it_at_once_and_another_begins_it_again() -> None:
    ground = Ground()
    ground.busy.look(True, 1)
    ground.busy.look(False, 1)
    assert ground.turns(10) == 1
    assert not ground.busy.awake
    ground.busy.look(True, 1)
    assert ground.turns(10) == 10


async def test_a_real_loop_turns_without_sleeping_and_then_sleeps() -> None:
    loop, turns = asyncio.get_running_loop(), 0

    def soon(work: Callable[[], None]) -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(work)

    busy = BusyPoll(loop.time, soon)
    busy.look(True, 1)
    await asyncio.sleep(0.05)
    assert turns > 50
    busy.look(False, 1)
    await asyncio.sleep(0)
    before = turns
    await asyncio.sleep(0.05)
    assert turns - before <= 1
