"""Margins of calls: what is billed, what has no price, what is of another currency."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.budget import day_of
from relayd.core.margin import Margin, MarginKey, add, of_call
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.timestamp import DAY_MS
from tests.fakes.records import START_MS, call_record

BOOK = PriceBook([Price("gpt-*", unit_prices({"call": 700})),
                  Price("other", unit_prices({"call": 700}), currency="CNY")])


def test_cost_is_the_books_price_without_a_markup() -> None:
    assert of_call(call_record(amount_nano=1000), BOOK) == Margin(1, 1000, 700, 0)
    assert of_call(call_record(amount_nano=500), BOOK).left_nano == -200


def test_calls_are_summed_under_their_own_names() -> None:
    sums: dict[MarginKey, Margin] = {}
    add(sums, [call_record(model="gpt-1", provider="p", currency="USD", amount_nano=9),
               call_record(model=None, provider=None, currency="CNY", amount_nano=0)], BOOK)
    day_ms = START_MS // (24 * 3600 * 1000) * 24 * 3600 * 1000
    assert set(sums) == {MarginKey(day_ms, "gpt-1", "p", "USD"), MarginKey(day_ms, "", "", "CNY")}
    assert Margin(1, 2, 3, 4).plus(Margin(10, 20, 30, 40)) == (11, 22, 33, 44)


def test_what_is_not_billed_costs_nothing() -> None:
    for changes in ({"provider": None}, {"outcome": "refused", "usage_source": "none"}):
        assert of_call(call_record(amount_nano=0, **changes), BOOK) == Margin(1, 0, 0, 0)


def test_what_has_no_price_in_its_currency_is_counted() -> None:
    for model in ("unknown", "other"):
        record = call_record(model=model, provider_model=model, amount_nano=9)
        assert of_call(record, BOOK) == Margin(1, 9, 0, 1)


@given(st.lists(st.tuples(st.integers(0, 10 ** 9), st.integers(0, 3 * DAY_MS),
                          st.sampled_from([None, "gpt-1", "x"]))))
def test_sums_are_what_their_calls_are(calls: list[tuple[int, int, str | None]]) -> None:
    records = [call_record(amount_nano=nano, started_at_ms=START_MS + later, model=model,
                           provider_model=model) for nano, later, model in calls]
    sums: dict[MarginKey, Margin] = {}
    for start in range(0, len(records), 3):
        add(sums, records[start:start + 3], BOOK)
    wanted: dict[MarginKey, list[int]] = {}
    for record in records:
        key = MarginKey(record.started_at_ms // DAY_MS * DAY_MS, record.model or "",
                        record.provider or "", record.currency)
        mine = wanted.setdefault(key, [0] * 4)
        for place, figure in enumerate(of_call(record, BOOK)):
            mine[place] += figure
    assert sums == {key: Margin(*figures) for key, figures in wanted.items()}
    total = Margin()
    for margin in sums.values():
        total = total.plus(margin)
    assert total.calls == len(calls) and total.revenue_nano == sum(call[0] for call in calls)
    assert all(key.day_ms == day_of(key.day_ms) for key in sums)
