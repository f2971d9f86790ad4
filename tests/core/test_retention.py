"""Retention: one table, floors that hold, terms that follow the configuration."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.retention import (
    ACTIONS, BY_NAME, CATEGORIES, CHOICES, UNIT_MS, Category, Terms, problem, year_end_ms, year_of,
)
from relayd.core.timestamp import DAY_MS


def test_R1_the_schedule_is_the_promised_one() -> None:
    assert {each.name: (each.default, each.unit) for each in CATEGORIES} == {
        "content": (0, "days"), "registrations": (24, "hours"), "mail_links": (30, "minutes"),
        "sessions": (30, "days"), "sign_ins": (190, "days"), "network_records": (190, "days"),
        "call_records": (190, "days"), "totals": (0, "days"), "letters": (190, "days"),
        "tickets": (180, "days"), "orders": (1096, "days"), "invoices": (10_958, "days"),
        "consents": (1096, "days"), "erasures": (1096, "days"), "legal_requests": (1827, "days"),
        "audit": (1096, "days"), "backups": (35, "days"),
    }
    assert len(BY_NAME) == len(CATEGORIES)
    assert {each.action for each in CATEGORIES} == set(ACTIONS)


@pytest.mark.parametrize("category", CHOICES, ids=lambda each: each.name)
def test_R1_no_term_below_its_floor(category: Category) -> None:
    assert problem(category, category.default) == problem(category, category.floor) == ""
    refused = problem(category, category.floor - 1)
    assert str(category.floor) in refused and category.basis in refused
    assert problem(category, category.most) == ""
    assert problem(category, category.most + 1) == f"is above {category.most} {category.unit}"


def test_R1_floors_that_a_law_asks_for() -> None:
    floors = {each.name: each.floor for each in CHOICES}
    assert floors["network_records"] == floors["sign_ins"] == floors["call_records"] == 184
    assert floors["orders"] == floors["consents"] == 3 * 365 + 1
    assert floors["invoices"] == 10 * 365 + 3


def test_terms_in_milliseconds() -> None:
    terms = Terms({"tickets": 7})
    assert terms.ms("tickets") == 7 * DAY_MS and terms.ms("mail_links") == 30 * 60_000
    assert terms.before_ms("registrations", 25 * UNIT_MS["hours"]) == UNIT_MS["hours"]
    assert terms.before_ms("invoices", 0) == 0


@given(st.integers(0, 250_000_000_000_000))
def test_years(unix_ms: int) -> None:
    year = year_of(unix_ms)
    assert year_end_ms(year - 1) <= unix_ms < year_end_ms(year)


@pytest.mark.parametrize(("date", "year"), [
    ("1970-01-01T00:00:00", 1970), ("2025-12-31T23:59:59.999", 2025),
    ("2026-01-01T00:00:00", 2026), ("2028-02-29T12:00:00", 2028),
])
def test_a_year_is_that_of_the_calendar(date: str, year: int) -> None:
    moment = datetime.fromisoformat(date + "+00:00")
    assert year_of(round(moment.timestamp() * 1000)) == year
    assert year_end_ms(year) == datetime(year + 1, 1, 1, tzinfo=UTC).timestamp() * 1000
