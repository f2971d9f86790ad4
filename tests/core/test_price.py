"""Rating: golden amounts, parts, tiers, dates, and which price counts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.money import AMOUNT_MAX, NANO, parse_nano
from relayd.core.price import (
    KINDS, NO_PRICES, Price, PriceBook, Tier, UnitPrices, amount, amounts, matches, quantities,
    unit_prices,
)
from relayd.core.record import CallRecord
from tests.fakes.records import START_MS, call_record

PARTS = ("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_output_tokens",
         "audio_input_tokens", "audio_output_tokens", "cache_creation_1h_input_tokens",
         "image_input_tokens", "image_output_tokens", "images", "audio_seconds", "searches")
PLAIN = dict.fromkeys(PARTS, 0)
TOKENS = st.integers(0, 1 << 40)
NANOS = st.integers(0, 10 ** 15)
RECORDS = st.builds(lambda **fields: call_record(**fields), **dict.fromkeys(
    ("input_tokens", "output_tokens", *PARTS), TOKENS))
PRICES = st.builds(
    lambda base, tiers: Price("*", base, tiers=tuple(
        Tier(*tier) for tier in sorted(tiers, key=lambda tier: tier[0]))),
    st.builds(UnitPrices, *[NANOS] * len(KINDS)),
    st.lists(st.tuples(TOKENS, st.builds(UnitPrices, *[NANOS] * len(KINDS))), max_size=3))


def price(*tiers: tuple[int, dict[str, str]], **texts: str) -> Price:
    """A price of every model, in the words of a price file."""
    return Price("*", _given(texts), tiers=tuple(
        Tier(above, _given({**texts, **other})) for above, other in tiers))


def _given(texts: dict[str, str]) -> UnitPrices:
    given = {name: parse_nano(text) for name, text in texts.items()}
    assert None not in given.values()
    return unit_prices(given)  # type: ignore[arg-type]


def used(**fields: Any) -> CallRecord:
    """A call without parts but those that are named."""
    return call_record(**{**PLAIN, **fields})


SMALL = price(input="0.15", output="0.6", cache_read="0.075")
CLAUDE = price(input="3", output="15", cache_read="0.3", cache_creation="3.75",
               cache_creation_1h="6")
GEMINI = price((200_000, {"input": "2.5", "output": "15", "cache_read": "0.25"}),
               input="1.25", output="10", cache_read="0.125", audio_input="1")
AUDIO = price(input="2.5", output="10", audio_input="40", audio_output="80", cache_read="1.25")
IMAGES = price(input="5", output="0", cache_read="1.25", image_input="10", image_output="40")


@pytest.mark.parametrize(("charged", "fields", "dollars"), [
    (SMALL, {"input_tokens": 1234, "output_tokens": 567},
     Fraction(1234 * 15 + 567 * 60, 100 * 10 ** 6)),
    (SMALL, {"input_tokens": 2048, "output_tokens": 300, "cache_read_input_tokens": 1920},
     Fraction(128 * 150 + 1920 * 75 + 300 * 600, 1000 * 10 ** 6)),
    # reasoning without a price of its own is output
    (SMALL, {"input_tokens": 10, "output_tokens": 5000, "reasoning_output_tokens": 4864},
     Fraction(10 * 15 + 5000 * 60, 100 * 10 ** 6)),
    # 100 fresh tokens, 50,000 read, 2,000 written of which 500 for an hour
    (CLAUDE, {"input_tokens": 52_100, "output_tokens": 800, "cache_read_input_tokens": 50_000,
              "cache_creation_input_tokens": 2000, "cache_creation_1h_input_tokens": 500},
     Fraction(100 * 300 + 50_000 * 30 + 1500 * 375 + 500 * 600 + 800 * 1500, 100 * 10 ** 6)),
    (GEMINI, {"input_tokens": 200_000, "output_tokens": 10},
     Fraction(200_000 * 125 + 10 * 1000, 100 * 10 ** 6)),
    (GEMINI, {"input_tokens": 200_001, "output_tokens": 10, "cache_read_input_tokens": 150_000},
     Fraction(50_001 * 250 + 150_000 * 25 + 10 * 1500, 100 * 10 ** 6)),
    (GEMINI, {"input_tokens": 1000, "output_tokens": 10, "audio_input_tokens": 900},
     Fraction(100 * 125 + 900 * 100 + 10 * 1000, 100 * 10 ** 6)),
    (AUDIO, {"input_tokens": 500, "output_tokens": 300, "audio_input_tokens": 400,
             "audio_output_tokens": 250},
     Fraction(100 * 25 + 400 * 400 + 50 * 100 + 250 * 800, 10 * 10 ** 6)),
    (IMAGES, {"input_tokens": 250, "output_tokens": 4160, "image_input_tokens": 194,
              "image_output_tokens": 4160, "images": 1},
     Fraction(56 * 5 + 194 * 10 + 4160 * 40, 10 ** 6)),
    (price(audio_minute="0.006"), {"input_tokens": 0, "output_tokens": 0, "audio_seconds": 37},
     Fraction(37 * 6, 60 * 1000)),
    (price(image="0.04"), {"input_tokens": 9, "output_tokens": 0, "images": 3}, Fraction(12, 100)),
    (price(input="3", output="15", search="0.01"),
     {"input_tokens": 700, "output_tokens": 9, "searches": 3},
     Fraction(700 * 3 + 9 * 15, 10 ** 6) + Fraction(3, 100)),
    (price(search_call="0.035"), {"input_tokens": 7, "output_tokens": 0, "searches": 3},
     Fraction(35, 1000)),
    (price(search="0.01", search_call="0.035"), {"input_tokens": 7, "output_tokens": 0},
     Fraction(0)),
    (price(call="0.002"), {"input_tokens": 700, "output_tokens": 0}, Fraction(2, 1000)),
    (price(input="0.02"), {"input_tokens": 7, "output_tokens": 0}, Fraction(14, 10 ** 8)),
])
def test_golden_amounts(charged: Price, fields: dict[str, int], dollars: Fraction) -> None:
    record = used(**fields)
    exact = dollars * NANO
    assert amount(record, charged) == (exact.numerator * 2 + exact.denominator) // (
        exact.denominator * 2)
    assert sum(amounts(record, charged).values()) == amount(record, charged)


def test_a_half_nano_goes_up_and_only_once() -> None:
    # 3 input and 2 output tokens at 0.0005 and 0.00025 a million: 1.5 and 0.5 nano
    charged = price(input="0.0005", output="0.00025")
    assert amount(used(input_tokens=3, output_tokens=0), charged) == 2
    assert amount(used(input_tokens=0, output_tokens=2), charged) == 1
    assert amount(used(input_tokens=3, output_tokens=2), charged) == 2
    assert amounts(used(input_tokens=3, output_tokens=2), charged) == {"input": 2}


@pytest.mark.parametrize(("fields", "kinds"), [
    # more parts than there are tokens: nothing below zero, nothing paid twice
    ({"input_tokens": 100, "cache_read_input_tokens": 80, "audio_input_tokens": 50},
     {"cache_read": 80, "audio_input": 20}),
    ({"input_tokens": 100, "cache_read_input_tokens": 500}, {"cache_read": 100}),
    ({"input_tokens": 100, "cache_creation_input_tokens": 30,
      "cache_creation_1h_input_tokens": 90},
     {"input": 70, "cache_creation_1h": 30}),
    ({"output_tokens": 10, "reasoning_output_tokens": 12, "audio_output_tokens": 3},
     {"reasoning": 10}),
    ({"output_tokens": 10, "reasoning_output_tokens": 4, "audio_output_tokens": 3,
      "image_output_tokens": 2}, {"output": 1, "reasoning": 4, "audio_output": 3,
                                  "image_output": 2}),
    ({"images": 2, "audio_seconds": 61}, {"image": 2, "audio_minute": 61}),
    ({"searches": 2}, {"search": 2, "search_call": 1}),
])
def test_every_token_is_of_one_kind(fields: dict[str, int], kinds: dict[str, int]) -> None:
    found = quantities(used(**{"input_tokens": 0, "output_tokens": 0, **fields}))._asdict()
    assert found.pop("call") == 1
    assert {name: count for name, count in found.items() if count} == kinds


@given(RECORDS)
def test_kinds_add_up_to_the_totals(record: CallRecord) -> None:
    kinds = quantities(record)
    assert min(kinds) >= 0
    assert record.input_tokens == (
        kinds.input + kinds.cache_read + kinds.cache_creation + kinds.cache_creation_1h
        + kinds.audio_input + kinds.image_input)
    assert record.output_tokens == (
        kinds.output + kinds.reasoning + kinds.audio_output + kinds.image_output)


@given(RECORDS, PRICES)
def test_amounts_are_integers_and_their_parts_add_up(record: CallRecord, charged: Price) -> None:
    total = amount(record, charged)
    assert type(total) is int and 0 <= total <= AMOUNT_MAX
    parts = amounts(record, charged)
    assert sum(parts.values()) == total and all(type(p) is int and p > 0 for p in parts.values())


FEW = st.just(0) | st.integers(0, 10 ** 6)
CACHED = st.builds(lambda **fields: used(**fields), **dict.fromkeys(
    ("input_tokens", "output_tokens", "reasoning_output_tokens", "cache_read_input_tokens",
     "cache_creation_input_tokens", "cache_creation_1h_input_tokens"), FEW))
UNITS = st.builds(UnitPrices, *[st.integers(0, 10 ** 9)] * len(KINDS))


@given(CACHED, UNITS, FEW, UNITS)
def test_calls_without_audio_and_images_cost_what_their_kinds_add_up_to(
        record: CallRecord, base: UnitPrices, above: int, more: UnitPrices) -> None:
    charged = Price("*", base, tiers=(Tier(above, more),))
    assert amount(record, charged) == sum(amounts(record, charged).values()) < AMOUNT_MAX


@given(RECORDS, PRICES)
def test_the_amount_is_the_exact_one_rounded(record: CallRecord, charged: Price) -> None:
    per = {"call": 1, "image": 1, "audio_minute": 60, "search": 1, "search_call": 1}
    exact = sum(Fraction(count * nano, per.get(name, 10 ** 6)) for name, count, nano in zip(
        KINDS, quantities(record), charged.of(record.input_tokens), strict=True))
    assert amount(record, charged) == AMOUNT_MAX or abs(
        amount(record, charged) - exact) <= Fraction(1, 2)


@given(RECORDS, PRICES, st.sampled_from(KINDS), NANOS)
def test_a_higher_price_is_never_a_lower_amount(
        record: CallRecord, charged: Price, kind: str, more: int) -> None:
    raised = charged.prices._replace(**{kind: getattr(charged.prices, kind) + more})
    flat = replace(charged, tiers=())
    assert amount(record, replace(flat, prices=raised)) >= amount(record, flat)


@given(RECORDS, st.builds(UnitPrices, *[NANOS] * len(KINDS)),
       st.sampled_from(["output_tokens", "images", "audio_seconds", "searches"]), TOKENS)
def test_more_use_is_never_a_lower_amount(
        record: CallRecord, prices: UnitPrices, field: str, more: int) -> None:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    larger = CallRecord(**{**fields, field: fields[field] + more})
    assert amount(larger, Price("*", prices)) >= amount(record, Price("*", prices))


def test_kinds_without_a_price_are_paid_as_their_whole() -> None:
    prices = unit_prices({"input": 2, "output": 8, "cache_creation": 3})
    assert prices == UnitPrices(2, 8, 2, 3, 3, 8, 2, 8, 2, 8)
    assert unit_prices({"input": 2, "cache_read": 0}).cache_read == 0
    assert unit_prices({}) == UnitPrices()


def test_tiers_are_of_the_whole_call() -> None:
    charged = price((100, {"input": "2"}), (200, {"input": "3"}), input="1")
    found = [amount(used(input_tokens=n, output_tokens=0), charged) for n in (100, 101, 200, 201)]
    assert found == [100_000, 202_000, 400_000, 603_000]


# which price counts

def entry(model: str, provider: str = "*", since_ms: int = 0, cents: int = 1) -> Price:
    return Price(model, unit_prices({"call": cents}), provider, since_ms)


@pytest.mark.parametrize(("provider", "model", "wanted"), [
    ("openai", "gpt-4o", 6), ("azure-east", "gpt-4o", 5), ("other", "gpt-4o", 4),
    ("openai", "gpt-4o-mini", 3), ("openai", "gpt-5", 2), ("openai", "o3", 1),
])
def test_the_most_specific_counts(provider: str, model: str, wanted: int) -> None:
    entries = [
        entry("*", "openai", cents=1), entry("gpt-*", cents=2), entry("gpt-4*", cents=3),
        entry("gpt-4o", cents=4), entry("gpt-4o", "azure-*", cents=5),
        entry("gpt-4o", "openai", cents=6),
    ]
    for order in (entries, entries[::-1]):
        found = PriceBook(order).find(provider, model, 0)
        assert found is not None and found.prices.call == wanted


def test_of_equally_specific_ones_the_alphabet_decides() -> None:
    for order in ([entry("a*b"), entry("*ab")], [entry("*ab"), entry("a*b")]):
        found = PriceBook(order).find("p", "ab", 0)
        assert found is not None and found.model == "*ab"
    assert PriceBook([entry("gpt-*")]).find("p", "gpt.4", 0) is None


def test_the_newest_that_has_begun_counts() -> None:
    book = PriceBook([entry("m", since_ms=200, cents=3), entry("m", since_ms=100, cents=2),
                      entry("*", cents=1)])
    found = [book.find("p", "m", at) for at in (99, 100, 199, 200, 10 ** 15)]
    assert [each.prices.call if each else None for each in found] == [1, 2, 2, 3, 3]
    assert PriceBook([entry("m", since_ms=100)]).find("p", "m", 99) is None


def test_what_is_in_force() -> None:
    entries = [entry("b", since_ms=5, cents=2), entry("a*"), entry("b"), entry("c", since_ms=9)]
    book = PriceBook(entries)
    assert book.in_force(4) == [entries[1], entries[2]]
    assert book.in_force(9) == [entries[1], entries[0], entries[3]]


@pytest.mark.parametrize(("pattern", "name", "does"), [
    ("gpt-4o", "gpt-4o", True), ("gpt-4o", "gpt-4", False), ("gpt.4", "gpt-4", False),
    ("gpt-*", "gpt-", True), ("*-mini", "gpt-mini-2", False), ("a*c", "a\nc", True),
])
def test_matches(pattern: str, name: str, does: bool) -> None:
    assert matches(pattern, name) is does


def test_the_model_that_was_sent_counts_before_the_one_asked_for() -> None:
    book = PriceBook([entry("asked", cents=1), entry("sent", cents=2)])
    for sent, wanted in (("sent", 2), ("deployment-7", 1)):
        found = book.price_of(call_record(model="asked", provider_model=sent))
        assert found is not None and found.prices.call == wanted
    assert book.price_of(call_record(model=None, provider_model=None)) is None
    assert book.price_of(call_record(model="asked", provider=None, provider_model=None)) is None


def test_rated() -> None:
    book = PriceBook([replace(entry("gpt-4o-mini", cents=7), currency="EUR")])
    record = call_record()
    rated = book.rated(record)
    assert (rated.amount_nano, rated.currency) == (7, "EUR")
    assert rated == call_record(id=record.id, started_at_ms=record.started_at_ms, amount_nano=7,
                                currency="EUR")
    # once is enough
    assert PriceBook([entry("*", cents=9)]).rated(rated) is rated
    assert NO_PRICES.rated(record) is record
    assert book.rated(call_record(model="m", provider_model="m")).amount_nano == 0


@pytest.mark.parametrize(("outcome", "source", "nano"), [
    ("completed", "reported", 7), ("completed", "none", 7), ("client_left", "estimated", 7),
    ("refused", "none", 0), ("provider_error", "none", 0), ("provider_error", "reported", 7),
    ("interrupted", "none", 0), ("provider_truncated", "counted", 7),
])
def test_what_is_not_billed_costs_nothing(outcome: str, source: str, nano: int) -> None:
    book = PriceBook([entry("*", cents=7)])
    record = call_record(outcome=outcome, usage_source=source)
    assert book.rated(record).amount_nano == nano


def test_an_absurd_amount_is_the_largest_that_can_be_stored() -> None:
    charged = price(input="1000000", output="1000000")
    record = used(input_tokens=1 << 40, output_tokens=1 << 40)
    assert amount(record, charged) == AMOUNT_MAX
    assert amounts(record, charged) == {"input": AMOUNT_MAX}


def test_names_without_end_do_not_fill_the_memory() -> None:
    book = PriceBook([entry("m*")])
    for number in range(10_000):
        assert book.find("p", f"m{number}", START_MS) is not None
    assert len(book._found) <= 4096


def test_books_are_values() -> None:
    assert PriceBook([entry("m")]) == PriceBook([entry("m")]) != PriceBook([entry("n")])
    assert hash(PriceBook([entry("m")])) == hash(PriceBook([entry("m")]))
    assert len(NO_PRICES) == 0 and "1 prices" in repr(PriceBook([entry("m")]))
