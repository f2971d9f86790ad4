"""The phases: every move of the table is possible, every other one is a defect."""

import itertools

import pytest

from relayd.core.exchange import (
    MOVES, RECEIVED, TO_ADMITTED, TO_DISPATCHED, TO_SETTLED, TO_STREAMING, Phase, advance,
)

PAIRS = list(itertools.product(Phase, Phase))


@pytest.mark.parametrize(("now", "to"), [p for p in PAIRS if p[1] in MOVES[p[0]]])
def test_moves(now: Phase, to: Phase) -> None:
    assert advance(now, to) is to


@pytest.mark.parametrize(("now", "to"), [p for p in PAIRS if p[1] not in MOVES[p[0]]])
def test_no_other_moves(now: Phase, to: Phase) -> None:
    with pytest.raises(AssertionError):
        advance(now, to)


def test_the_table_by_where_a_move_leads() -> None:
    found = {Phase.ADMITTED: TO_ADMITTED, Phase.DISPATCHED: TO_DISPATCHED,
             Phase.STREAMING: TO_STREAMING, Phase.SETTLED: TO_SETTLED}
    for to in set(Phase) - {RECEIVED}:
        assert dict(found[to]) == {now: to for now in Phase if to in MOVES[now]}


def test_every_phase_reaches_settled() -> None:
    assert all(Phase.SETTLED in MOVES[p] for p in Phase if p is not Phase.SETTLED)


def test_nothing_is_sent_again_once_streaming() -> None:
    assert MOVES[Phase.STREAMING] == {Phase.SETTLED}
