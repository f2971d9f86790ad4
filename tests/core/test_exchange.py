"""The phases: every move of the table is possible, every other one is a defect."""

import itertools

import pytest

from relayd.core.exchange import (
    MOVES, RECEIVED, TO_ADMITTED, TO_DISPATCHED, TO_SETTLED, TO_STREAMING, Phase,
)

INTO = {Phase.ADMITTED: TO_ADMITTED, Phase.DISPATCHED: TO_DISPATCHED,
        Phase.STREAMING: TO_STREAMING, Phase.SETTLED: TO_SETTLED}
PAIRS = list(itertools.product(Phase, INTO))


@pytest.mark.parametrize(("now", "to"), [p for p in PAIRS if p[1] in MOVES[p[0]]])
def test_moves(now: Phase, to: Phase) -> None:
    assert INTO[to][now] is to


@pytest.mark.parametrize(("now", "to"), [p for p in PAIRS if p[1] not in MOVES[p[0]]])
def test_no_other_moves(now: Phase, to: Phase) -> None:
    with pytest.raises(KeyError):
        INTO[to][now]


def test_nothing_is_received_again() -> None:
    assert INTO.keys() == set(Phase) - {RECEIVED}
    assert not any(RECEIVED in after for after in MOVES.values())


def test_every_phase_reaches_settled() -> None:
    assert all(Phase.SETTLED in MOVES[p] for p in Phase if p is not Phase.SETTLED)


def test_nothing_is_sent_again_once_streaming() -> None:
    assert MOVES[Phase.STREAMING] == {Phase.SETTLED}
