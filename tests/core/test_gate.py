"""A gate never holds more than its bound, loses no place and forgets nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.gate import Gate, Permit


def never() -> None:
    raise AssertionError("woken although its place was there at once")


def test_who_waits_gets_its_turn() -> None:
    gate, order = Gate(1, 2), []
    first = gate.enter(never)
    assert first is not None and first.held and gate.full
    second = gate.enter(lambda: order.append(2))
    third = gate.enter(lambda: order.append(3))
    assert second is not None and third is not None and gate.waiting == 2
    assert gate.enter(never) is None
    second.release()  # gave up
    first.release()
    assert order == [3] and third.held and not second.held
    first.release()
    assert gate.busy == 1
    third.release()
    assert (gate.busy, gate.waiting) == (0, 0)


def test_without_a_bound_it_only_counts() -> None:
    gate = Gate(0, 0)
    permits = [gate.enter(never) for _ in range(5)]
    assert all(permits) and gate.busy == 5 and not gate.full


def test_a_larger_bound_serves_who_waits() -> None:
    gate, woken = Gate(1, 5), []
    gate.enter(never)
    for n in range(3):
        gate.enter(lambda n=n: woken.append(n))  # type: ignore[misc]
    gate.resize(3, 5)
    assert woken == [0, 1] and gate.busy == 3 and gate.waiting == 1


@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.integers(0, 9), max_size=200))
def test_no_place_is_lost(limit: int, queue: int, steps: list[int]) -> None:
    gate, permits = Gate(limit, queue), list[Permit]()
    for step in steps:
        if step < 5:
            permit = gate.enter(lambda: None)
            if permit is not None:
                permits.append(permit)
        elif permits:
            permits.pop(step % len(permits)).release()
        held = sum(p.held for p in permits)
        assert gate.busy == held <= limit
        assert gate.waiting == len(permits) - held <= queue
        assert not gate.waiting or held == limit
    for permit in permits:
        permit.release()
    assert (gate.busy, gate.waiting) == (0, 0)
