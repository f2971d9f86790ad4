"""What is written is read back, and only news are news."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.price import KINDS, Price, PriceBook, Tier, UnitPrices, unit_prices
from relayd.ops.pricefile import PRICE_MAX, read_prices
from relayd.ops.pricetext import SameMoment, entries_text, entry_text, news

DAY_MS = 86_400_000
NANOS = st.one_of(st.integers(0, 3), st.integers(0, PRICE_MAX * 10 ** 9))
PRICES = st.builds(UnitPrices, *[NANOS] * len(KINDS))
TIERS = st.lists(st.tuples(st.integers(1, 1 << 40), PRICES), max_size=3, unique_by=lambda t: t[0])
ENTRIES = st.builds(
    Price, st.sampled_from(["m", "gpt-4o*", "org/m:free"]), PRICES, st.sampled_from(["*", "az*"]),
    st.one_of(st.integers(0, 20_000).map(lambda day: day * DAY_MS), st.integers(0, 1 << 41)),
    st.sampled_from(["USD", "CNY"]),
    TIERS.map(lambda tiers: tuple(Tier(*tier) for tier in sorted(tiers))),
    st.sampled_from([None, "https://example.org/", 'a "\\" quote']))


@given(ENTRIES)
def test_an_entry_comes_back(price: Price) -> None:
    reading = read_prices(entry_text(price))
    assert reading.faults == [] and reading.book.prices == (price,)


def test_the_text() -> None:
    given = {"input": 150_000_000, "output": 600_000_000}
    price = Price("m", unit_prices(given), since_ms=20_454 * DAY_MS,
                  tiers=(Tier(9, unit_prices({**given, "input": 10 ** 9})),))
    assert entry_text(price) == '''\
[[price]]
model = "m"
from = 2026-01-01
currency = "USD"
input = "0.15"
output = "0.6"
tiers = [
  { above = 9, input = "1" },
]
'''
    assert 'call = "0"' in entry_text(Price("free", UnitPrices()))
    assert "from = 2026-01-01T00:00:00.001Z" in entry_text(
        replace(price, since_ms=price.since_ms + 1))


def price(model: str, units: int, since_ms: int = 0, provider: str = "*") -> Price:
    return Price(model, unit_prices({"input": units}), provider, since_ms)


def test_news_are_what_would_be_rated_otherwise() -> None:
    book = PriceBook([price("a", 1), price("a", 2, 100), price("b-*", 5), price("c", 9, 0, "x")])
    wanted = [
        price("a", 2, 150), price("b-1", 5, 150), price("c", 9, 150), price("d", 1, 150),
        price("b-2", 6, 150), price("c", 9, 150, "x"), price("c", 8, 150, "x"),
    ]
    assert news(book, wanted) == [wanted[2], wanted[3], wanted[4], wanted[6]]
    # before it changed it was another one
    assert news(book, [price("a", 2, 50)]) == [price("a", 2, 50)]
    other = replace(price("a", 2, 150), currency="EUR")
    assert news(book, [other]) == [other]


def test_an_entry_is_never_written_over() -> None:
    book = PriceBook([price("a", 1, 100)])
    with pytest.raises(SameMoment) as caught:
        news(book, [price("a", 2, 100)])
    assert caught.value.args == ("a",)
    assert news(book, [price("a", 1, 100)]) == []


def test_entries_under_a_title() -> None:
    text = entries_text("Title.", [price("a", 1), price("b", 2)])
    assert text.startswith("# Title.\n\n[[price]]\n")
    assert read_prices(text).book.prices == (price("a", 1), price("b", 2))
    assert entries_text("None.", []) == "# None.\n"
