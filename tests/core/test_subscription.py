"""Subscriptions: states move by the table; fees are asked for again, not for ever."""

from __future__ import annotations

from typing import get_args

import pytest

from relayd.core.errors import RelayError
from relayd.core.subscription import (
    DUNNING_DAYS, REMINDER_MS, SUBSCRIPTION_MOVES, SubscriptionMove, SubscriptionState, advance,
    next_try_ms,
)
from relayd.core.timestamp import DAY_MS


@pytest.mark.parametrize("state", get_args(SubscriptionState))
@pytest.mark.parametrize("move", get_args(SubscriptionMove))
def test_states_move_by_the_table_and_no_other_way(state: str, move: str) -> None:
    expected = SUBSCRIPTION_MOVES.get((state, move))  # type: ignore[call-overload]
    if expected is not None:
        assert advance(state, move) == expected  # type: ignore[arg-type]
        return
    with pytest.raises(RelayError) as caught:
        advance(state, move)  # type: ignore[arg-type]
    assert caught.value.code == "subscription_state"


def test_another_plan_is_chosen_for_a_period_that_will_come_alone() -> None:
    assert {before for before, move in SUBSCRIPTION_MOVES if move == "schedule"} == {"active"}


def test_nothing_follows_the_end() -> None:
    assert not any(before == "ended" for before, _ in SUBSCRIPTION_MOVES)


def test_a_fee_is_asked_for_on_each_of_its_days() -> None:
    days = [(next_try_ms(0, tries, 0) or 0) // 86_400_000 for tries in range(1, 5)]
    assert tuple(days) == DUNNING_DAYS == (1, 3, 7, 14) and next_try_ms(0, 5, 0) is None


@pytest.mark.parametrize(("days_later", "asked_on"), [(0, 3), (2, 3), (3, 4), (30, 31)])
def test_a_day_that_is_over_is_made_up_for_a_day_from_now(days_later: int, asked_on: int) -> None:
    start = 5 * DAY_MS + 7
    assert next_try_ms(start, 2, start + days_later * DAY_MS) == start + asked_on * DAY_MS


def test_a_renewal_is_told_a_week_before() -> None:
    assert REMINDER_MS == 7 * 24 * 3600 * 1000
