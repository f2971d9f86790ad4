"""What comes of one end of a WebSocket: in slices of time, in order, all of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from relayd.relay import ends
from relayd.relay.ends import CONTROLS_MAX, CONTROLS_SECONDS, SLICE_BYTES, Backlog, Pace
from relayd.wire.websocket import CLOSE, POLICY, TEXT, Message, MessageReader, frame

KEY = b"abcd"
TINY = frame(TEXT, b"{}")


class Taken:
    """A backlog, what was taken from it, and when it began to wait and ceased to."""

    def __init__(self, most: int = 1 << 30, masked: bool = False, seconds: float = 0.0) -> None:
        self.reader = MessageReader(masked, 1 << 20)
        self.messages: list[bytes] = []
        self.holds: list[bool] = []
        self.seconds = seconds
        self.backlog = Backlog(self.reader, self.take, self.holds.append, most)

    def take(self, message: Message) -> None:
        self.messages.append(message.payload)
        if self.seconds:
            time.sleep(self.seconds)

    async def rest(self) -> None:
        async with asyncio.timeout(5):
            while self.backlog.waits:
                await asyncio.sleep(0)


async def test_the_loop_has_its_turn_between_two_slices() -> None:
    taken = Taken(seconds=0.0005)
    said = [b"%d" % number for number in range(40)]
    taken.backlog.put(b"".join(frame(TEXT, each) for each in said))
    assert taken.backlog.waits and 0 < len(taken.messages) < 20 and taken.holds == [True]
    taken.backlog.put(frame(TEXT, b"later"))
    turns = 0
    while taken.backlog.waits:
        await asyncio.sleep(0)
        turns += 1
    assert taken.messages == [*said, b"later"] and turns > 4
    assert taken.holds[-1] is False and taken.holds.count(False) == 1


async def test_frames_are_read_in_slices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "SLICE_SECONDS", 0.0)
    taken = Taken()
    taken.backlog.put(TINY * 3 * SLICE_BYTES)
    assert len(taken.messages) == 0 and taken.backlog.waits
    await taken.rest()
    assert len(taken.messages) == 3 * SLICE_BYTES


async def test_what_is_taken_at_once_waits_for_nothing() -> None:
    taken = Taken()
    taken.backlog.put(TINY + TINY[:1])
    taken.backlog.put(TINY[1:])
    assert taken.messages == [b"{}"] * 2 and not taken.holds and not taken.backlog.waits


async def test_an_end_takes_all_that_waits_or_nothing_more() -> None:
    for finish, count in (("flush", 40), ("forget", 0)):
        taken = Taken(seconds=0.0005)
        taken.backlog.put(TINY * 40)
        had = len(taken.messages)
        getattr(taken.backlog, finish)()
        assert not taken.backlog.waits and len(taken.messages) == max(count, had)
        await asyncio.sleep(0.01)
        assert len(taken.messages) == max(count, had)


async def test_too_many_of_one_read_are_a_fault() -> None:
    taken = Taken(most=1000, masked=True)
    each = frame(TEXT, b"{}", KEY)
    for _ in range(3):
        taken.backlog.put(each * 1000)
        await taken.rest()
        assert taken.reader.fault == 0
    taken.backlog.put(each * 5000)
    await taken.rest()
    assert taken.reader.fault == POLICY and 4000 < len(taken.messages) < 5000


async def test_nothing_is_read_behind_a_close() -> None:
    taken = Taken()
    taken.backlog.put(TINY + frame(CLOSE, b"") + TINY * 5000)
    await taken.rest()
    assert taken.messages == [b"{}", b""] and taken.reader.closed


def test_control_frames_that_come_too_fast() -> None:
    pace = Pace()
    assert [pace.exceeded(1.0) for _ in range(CONTROLS_MAX + 1)] == [False] * CONTROLS_MAX + [True]
    assert not pace.exceeded(1.5 + CONTROLS_SECONDS)
