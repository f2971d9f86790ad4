"""Writes of a turn: in order, none lost, at once where there is little to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.relay.turn import TOGETHER_MIN, Turn


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("not after write_eof")
        self.written.append(data)

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def as_transport(fake: Transport) -> asyncio.Transport:
    return cast(asyncio.Transport, fake)


def test_with_few_calls_it_writes_at_once() -> None:
    turn, transport = Turn(range(TOGETHER_MIN - 1), pytest.fail), Transport()
    turn.write(as_transport(transport), b"one")
    assert transport.written == [b"one"]


def test_with_many_it_writes_at_the_end_of_the_turn() -> None:
    due: list[Callable[[], None]] = []
    turn, one, two = Turn(range(TOGETHER_MIN), due.append), Transport(), Transport()
    turn.write(as_transport(one), b"1")
    turn.write(as_transport(two), b"2")
    turn.write(as_transport(one), b"3")
    assert not one.written and len(due) == 1
    due.pop()()
    assert one.written == [b"1", b"3"] and two.written == [b"2"]
    turn.write(as_transport(one), b"4")
    assert len(due) == 1


def test_a_defect_of_what_comes_first_holds_nothing_up() -> None:
    def fail() -> None:
        raise ValueError

    turn, transport = Turn(range(TOGETHER_MIN), lambda work: None), Transport()
    turn.write(as_transport(transport), b"1")
    assert turn.first(fail)
    with pytest.raises(ValueError):
        turn.flush()
    assert transport.written == [b"1"] and not turn.due


def test_what_is_due_goes_before_what_could_go_at_once() -> None:
    calls = list(range(TOGETHER_MIN))
    due: list[Callable[[], None]] = []
    turn, transport = Turn(calls, due.append), Transport()
    turn.write(as_transport(transport), b"1")
    calls.clear()
    turn.write(as_transport(transport), b"2")
    turn.flush()
    assert transport.written == [b"1", b"2"]
    due.pop()()
    assert transport.written == [b"1", b"2"]


def test_records_come_before_the_writes_and_counts_behind_them() -> None:
    turn, transport = Turn(range(TOGETHER_MIN), lambda work: None), Transport()
    seen: list[tuple[str, int]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, len(transport.written)))

    assert not turn.first(note("first"))
    turn.last(note("at once"))
    turn.write(as_transport(transport), b"1")
    turn.last(note("last"))
    assert turn.first(note("first"))
    assert seen == [("at once", 0)]
    turn.flush()
    turn.flush()
    assert seen == [("at once", 0), ("first", 0), ("last", 1)]


def test_what_is_for_now_waits_for_what_is_due_alone() -> None:
    turn, transport = Turn(range(TOGETHER_MIN), lambda work: None), Transport()
    turn.write_now(as_transport(transport), b"1")
    assert transport.written == [b"1"]
    turn.write(as_transport(transport), b"2")
    turn.write_now(as_transport(transport), b"3")
    assert transport.written == [b"1"]
    turn.flush()
    assert transport.written == [b"1", b"2", b"3"]


def test_a_transport_that_fails_is_ended_and_costs_no_other_anything() -> None:
    turn = Turn(range(TOGETHER_MIN), lambda work: None)
    broken, sound = Transport(), Transport()
    broken.broken = True
    turn.write(as_transport(broken), b"1")
    turn.write(as_transport(sound), b"2")
    turn.flush()
    assert broken.closing and not broken.written and sound.written == [b"2"]


def test_a_closing_transport_takes_nothing() -> None:
    turn, transport = Turn(range(TOGETHER_MIN), lambda work: None), Transport()
    turn.write(as_transport(transport), b"1")
    transport.closing = True
    turn.flush()
    assert not transport.written


def test_what_is_done_first() -> None:
    done: list[str] = []
    turn, transport = Turn(range(TOGETHER_MIN), lambda work: None), Transport()
    assert not turn.first(lambda: done.append("never"))
    turn.write(as_transport(transport), b"1")

    def work() -> None:
        done.append(f"before {transport.written}")
        turn.write(as_transport(transport), b"2")

    assert turn.first(work)
    for _ in range(2):
        turn.flush()
        assert transport.written == [b"1", b"2"] and done == ["before []"]
    assert not turn.first(lambda: done.append("never"))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2 * TOGETHER_MIN), st.booleans())))
def test_every_transport_gets_its_own_in_order(steps: list[tuple[int, int, bool]]) -> None:
    calls: list[int] = []
    turn, transports = Turn(calls, lambda work: None), [Transport() for _ in range(4)]
    wanted: list[list[bytes]] = [[] for _ in transports]
    for number, (which, busy, ends) in enumerate(steps):
        calls[:] = range(busy)
        data = b"%d" % number
        wanted[which].append(data)
        turn.write(as_transport(transports[which]), data)
        if ends:
            turn.flush()
    turn.flush()
    assert [transport.written for transport in transports] == wanted
