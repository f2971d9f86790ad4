"""Plans: markups, versions, periods."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.plan import (
    MARKUP_MAX, MARKUP_ONE, Plan, Tariff, from_document, marked_up, parse_markup, period_end,
    unspent, unused,
)
from relayd.core.price import Price, PriceBook, unit_prices
from tests.fakes.records import START_MS, call_record

BOOK = PriceBook([Price("*", unit_prices({"call": 1_000_000}))])


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("text, expected", [
    ("1", MARKUP_ONE), ("1.25", 1_250_000), ("0", 0), ("0.000001", 1), ("1000", MARKUP_MAX),
    ("1000.1", None), ("1.0000001", None), ("-1", None), ("", None), ("1e3", None), ("x", None),
])
def test_markups_are_decimal_texts(text: str, expected: int | None) -> None:
    assert parse_markup(text) == expected


def test_the_longest_pattern_counts_and_a_name_before_any() -> None:
    plan = Plan("p", 10, {"gpt-*": 20, "gpt-4*": 30, "gpt-4o": 40})
    assert [plan.of(name) for name in ("claude", "gpt-3", "gpt-4-turbo", "gpt-4o")] == [
        10, 20, 30, 40]


def test_an_accounts_calls_cost_what_its_plan_says() -> None:
    plans = {"default": Plan("default", 1_200_000), "team": Plan("team", 900_000)}
    tariff = Tariff(BOOK, plans, {"acct_2": "team", "acct_3": "gone"})
    assert [tariff.rated(call_record(account=f"acct_{n}")).amount_nano for n in (1, 2, 3)] == [
        1_200_000, 900_000, 1_200_000]
    assert Tariff(BOOK).rated(call_record()).amount_nano == 1_000_000
    assert Tariff(BOOK, {"team": plans["team"]}).rated(call_record()).amount_nano == 1_000_000


def test_a_model_s_own_markup_is_of_the_name_that_was_asked_for() -> None:
    plan = Plan("default", 1_200_000, {"mini-*": 500_000, "": 1})
    tariff = Tariff(BOOK, {"default": plan})
    assert [tariff.rated(call_record(model=model, provider_model="sent")).amount_nano
            for model in ("mini-1", "other", None)] == [500_000, 1_200_000, 1]


def test_an_amount_that_is_there_stays_and_free_calls_stay_free() -> None:
    tariff = Tariff(BOOK, {"default": Plan("default", 2 * MARKUP_ONE)})
    assert tariff.rated(call_record(amount_nano=7)).amount_nano == 7
    assert tariff.rated(call_record(outcome="refused", usage_source="none")).amount_nano == 0


def test_what_is_not_charged_has_no_currency() -> None:
    tariff = Tariff(PriceBook([Price("m", unit_prices({"call": 5}), currency="CNY")]))
    assert tariff.charge(call_record(model="m", provider_model=None)) == (5, "CNY")
    for unpriced in (call_record(model="other", provider_model=None),
                     call_record(model="m", outcome="refused", usage_source="none")):
        assert tariff.charge(unpriced) == (0, None) and tariff.rated(unpriced) is unpriced
    assert tariff and not Tariff(PriceBook())


@given(st.integers(0, 10**12), st.integers(0, MARKUP_MAX))
def test_a_bound_is_never_below_the_amount(nano: int, markup: int) -> None:
    tariff = Tariff(PriceBook([Price("*", unit_prices({"call": nano}))]),
                    {"default": Plan("default", markup)})
    amount = tariff.rated(call_record()).amount_nano
    assert amount <= marked_up(nano, markup) <= amount + 1 or amount == 1 << 53


def test_a_version_names_its_terms() -> None:
    plan = Plan("team", 1_100_000, {"a*": 5}, "Team", "团队", "month", 20, 25, "EUR", True)
    found = from_document(plan.document())
    assert (found.document(), found.version) == (plan.document(), plan.version)
    assert found.fee_nano == 20 and found.title_zh == "团队"
    assert Plan("team", 1_100_001).version != Plan("team", 1_100_000).version
    # whether it is offered is no term of who has it
    assert Plan("team", offered=True).version == Plan("team").version


@pytest.mark.parametrize("start, day, period, end", [
    ("2027-01-15T10:00", 15, "month", "2027-02-15T10:00"),
    ("2027-01-31T10:00", 31, "month", "2027-02-28T10:00"),
    ("2027-02-28T10:00", 31, "month", "2027-03-31T10:00"),
    ("2027-12-31T23:59", 31, "month", "2028-01-31T23:59"),
    ("2028-02-29T00:00", 29, "year", "2029-02-28T00:00"),
    ("2029-02-28T00:00", 29, "year", "2030-02-28T00:00"),
])
def test_a_period_ends_on_its_day(start: str, day: int, period: str, end: str) -> None:
    assert period_end(at(start), day, period) == at(end)  # type: ignore[arg-type]


@given(st.integers(at("2020-01-01"), at("2100-01-01")), st.sampled_from(["month", "year"]))
def test_periods_follow_one_another_and_come_back_to_their_day(start: int, period: str) -> None:
    day = datetime.fromtimestamp(start // 1000, UTC).day
    end = start
    for _ in range(13):
        before, end = end, period_end(end, day, period)  # type: ignore[arg-type]
        assert 27 <= (end - before) / 86_400_000 <= 367
        there = datetime.fromtimestamp(end // 1000, UTC)
        assert there.day == day or there.day < day and there.month != (
            datetime.fromtimestamp(end // 1000 + 86_400, UTC).month)


@given(st.integers(0, 10**15), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**7))
def test_what_is_given_back_is_never_more_than_was_paid(
    fee: int, start: int, length: int, now: int,
) -> None:
    back = unused(fee, start, start + length, now)
    assert 0 <= back <= fee
    assert unused(fee, start, start + length, now + 1) <= back
    assert unused(fee, START_MS, START_MS + 10, START_MS) == fee
    assert unused(fee, START_MS, START_MS + 10, START_MS + 10) == 0


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 10**16))
def test_an_allowance_that_was_used_is_paid_for(fee: int, allowance: int, left: int) -> None:
    back = unspent(fee, allowance, left)
    assert 0 <= back <= fee
    assert (back == fee) >= (left >= allowance)
    assert unspent(fee, allowance, 0) == (0 if allowance else fee)
