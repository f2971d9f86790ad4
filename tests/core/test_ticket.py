"""Tickets: the table of states and its complement, clocks in working days, texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.ticket import (
    BODY_CHARS_MAX, CLASSES, MOVES, STATES, Ticket, advance, check_text, due_at_ms,
    working_days_after,
)

WORDS_OF_STATES = ("open", "answered", "closed")
WORDS = ("answer", "ask", "close", "reopen")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(("state", "move"), list(product(WORDS_OF_STATES, WORDS)))
def test_the_table_and_its_complement(state: str, move: str) -> None:
    after = {"answer": "answered", "ask": "open", "close": "closed"}.get(move)
    if after is not None and state != "closed":
        assert advance(state, move) == after  # type: ignore[arg-type]
    else:
        with pytest.raises(RelayError) as caught:
            advance(state, move)  # type: ignore[arg-type]
        assert caught.value.code == "ticket_state"
    assert STATES == WORDS_OF_STATES and {name for _, name in MOVES} == {*WORDS} - {"reopen"}


@pytest.mark.parametrize(("opened", "days", "due"), [
    ("2026-11-23T09:00", 1, "2026-11-25T00:00"),    # Monday: the end of Tuesday
    ("2026-11-27T23:59", 1, "2026-12-01T00:00"),    # Friday: the end of Monday
    ("2026-11-28T12:00", 1, "2026-12-01T00:00"),    # Saturday: the same
    ("2026-11-27T10:00", 15, "2026-12-19T00:00"),   # three weeks on, Friday's end
])
def test_working_days(opened: str, days: int, due: str) -> None:
    assert working_days_after(ms(opened), days) == ms(due)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)), st.integers(1, 40))
def test_between_are_as_many_working_days_as_said(opened: datetime, days: int) -> None:
    start = opened.replace(tzinfo=UTC)
    due = datetime.fromtimestamp(
        working_days_after(int(start.timestamp() * 1000), days) / 1000, UTC)
    spans = (due.date() - start.date()).days - 1
    between = [start.date() + timedelta(days=n + 1) for n in range(spans)]
    assert sum(day.weekday() < 5 for day in between) == days
    assert between[-1].weekday() < 5


def test_X1_clocks_of_classes() -> None:
    opened = ms("2026-11-27T10:00")
    assert {each: due_at_ms(each, opened) for each in CLASSES} == {
        "question": None, "billing": None, "security": None,
        "privacy": ms("2026-12-19T00:00"), "appeal": ms("2026-12-19T00:00"),
        "minor": ms("2026-11-28T10:00"),
    }


def test_X1_overdue_until_somebody_answers() -> None:
    late = Ticket("tick_1", None, "privacy", "open", "s", "c", "en", 0, due_at_ms=10)
    assert late.overdue(11) and not late.overdue(10)
    answered = Ticket("tick_1", None, "privacy", "answered", "s", "c", "en", 0, 10,
                      first_answer_at_ms=5)
    assert not answered.overdue(11)
    assert not replace(late, state="closed").overdue(11)
    assert not replace(late, ticket_class="question", due_at_ms=None).overdue(1 << 50)
    assert (late.owner, Ticket("t", "acct_1", "privacy", "open", "s", None, "en", 0, 1).owner) == (
        "ticket:tick_1", "acct_1")


def test_no_text_in_a_repr() -> None:
    shown = repr(Ticket("tick_1", None, "minor", "open", "Secret", "Contact", "en", 0, 1))
    assert "Secret" not in shown and "Contact" not in shown


@pytest.mark.parametrize("text", ["", " \n ", "a\x00b", "a\u202eb", "x" * (BODY_CHARS_MAX + 1)])
def test_unfit_texts(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        check_text(text, "body", BODY_CHARS_MAX)
    assert caught.value.code == "invalid_value"


def test_fit_texts() -> None:
    assert check_text(" one\r\ntwo\t3 ", "body", 99) == "one\ntwo\t3"
    chinese = "您好：\n\u3000\u3000发票抬头写错了。"
    assert check_text(chinese, "body", 99) == chinese
