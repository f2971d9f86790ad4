"""Price files: what becomes an entry, and every fault with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from relayd.core.price import NO_PRICES, Price, Tier, unit_prices
from relayd.ops.pricefile import read_price_file, read_prices
from tests.shared import ROOT

SHIPPED = ROOT / "config" / "prices.toml"
DAY_MS = 86_400_000
FIRST_MS = 20_454 * DAY_MS
"""2026-01-01."""
READ_MS = 20_781 * DAY_MS
"""2026-11-24."""


def test_entries() -> None:
    reading = read_prices('''
currency = "EUR"
[[price]]
models = ["a", "a-2026-*"]
provider = "openai*"
from = 2026-01-01
input = "0.15"
output = 2
cache_read = "0"
source = "https://example.org/prices"
tiers = [
  { above = 1000, input = "0.3" },
  { above = 2000, input = "0.4", cache_read = "0.1" },
]
[[price]]
model = "b"
currency = "CNY"
call = 1
''')
    assert reading.faults == []
    given = {"input": 150_000_000, "output": 2 * 10 ** 9, "cache_read": 0}
    tiers = (
        Tier(1000, unit_prices({**given, "input": 300_000_000})),
        Tier(2000, unit_prices({**given, "input": 400_000_000, "cache_read": 100_000_000})))
    assert reading.book.prices == (
        *(Price(model, unit_prices(given), "openai*", FIRST_MS, "EUR", tiers,
                "https://example.org/prices") for model in ("a", "a-2026-*")),
        Price("b", unit_prices({"call": 10 ** 9}), currency="CNY"))


@pytest.mark.parametrize("model", ["~maker/model-latest", "@cf/maker/model", "~*"])
def test_vendors_have_names_of_their_own(model: str) -> None:
    reading = read_prices(f'[[price]]\nmodel = "{model}"\ncall = 1')
    assert [price.model for price in reading.book.prices] == [model]


@pytest.mark.parametrize(("text", "since_ms"), [
    ("2026-01-01", FIRST_MS), ('"2026-01-01"', FIRST_MS), ("1970-01-01", 0),
    ("2026-01-01T00:00:00.250Z", FIRST_MS + 250), ("2026-01-01T02:00:00+02:00", FIRST_MS),
    ("2026-01-01T10:00:00", FIRST_MS + 36_000_000), ('"2026-01-01 10:00Z"', FIRST_MS + 36_000_000),
])
def test_moments(text: str, since_ms: int) -> None:
    reading = read_prices(f'[[price]]\nmodel = "m"\ncall = 1\nfrom = {text}\n')
    assert [price.since_ms for price in reading.book.prices] == [since_ms]


@pytest.mark.parametrize(("lines", "line", "key", "words"), [
    ('modle = "m"\ncall = 1', 2, "price[0].modle", "not a known key"),
    ("call = 1", 1, "price[0].model", "is missing"),
    ('model = "m"\nmodels = ["n"]\ncall = 1', 3, "price[0].models", "beside"),
    ('model = "a b"\ncall = 1', 2, "price[0].model", "not a model name"),
    ('model = "*a*b*c*"\ncall = 1', 2, "price[0].model", "not a model name"),
    ('models = []\ncall = 1', 2, "price[0].models", "empty"),
    ('models = [\n"m", "../x"]\ncall = 1', 3, "price[0].models[1]", "not a model name"),
    ('model = "m"\ninput = 0.15', 3, "price[0].input", "binary fraction"),
    ('model = "m"\ninput = -1', 3, "price[0].input", "not a price"),
    ('model = "m"\ninput = "1e-3"', 3, "price[0].input", "not a price"),
    ('model = "m"\ninput = "$1"', 3, "price[0].input", "not a price"),
    ('model = "m"\ninput = true', 3, "price[0].input", "true or false"),
    ('model = "m"\ninput = 1000001', 3, "price[0].input", "out of range"),
    ('model = "m"', 1, "price[0].input", "every other price"),
    ('model = "m"\ncall = 1\nprovider = "a/b"', 4, "price[0].provider", "provider"),
    ('model = "m"\ncall = 1\ncurrency = "$"', 4, "price[0].currency", "currency"),
    ('model = "m"\ncall = 1\nfrom = 10:00:00', 4, "price[0].from", "is a date or time"),
    ('model = "m"\ncall = 1\nfrom = 2026', 4, "price[0].from", "whole number"),
    ('model = "m"\ncall = 1\nfrom = "7d"', 4, "price[0].from", "not a moment"),
    ('model = "m"\ncall = 1\nfrom = 1969-12-31', 4, "price[0].from", "not a moment"),
    ('model = "m"\ncall = 1\nsince = 2026-01-01', 4, "price[0].since", "not a known key"),
    ('model = "m"\ninput = 1\ntiers = [{ above = 9, input = 0.3 }]', 4,
     "price[0].tiers[0].input", "binary fraction"),
    ('model = "m"\ninput = 1\ntiers = [{ input = 2 }]', 4, "price[0].tiers[0].above", "missing"),
    ('model = "m"\ninput = 1\ntiers = [{ above = 9 }]', 4, "price[0].tiers[0].input", "missing"),
    ('model = "m"\ninput = 1\ntiers = [{ above = 9, input = 2 },\n{ above = 9, input = 3 }]', 5,
     "price[0].tiers[1].above", "not above"),
    ('model = "m"\ninput = 1\ntiers = 3', 4, "price[0].tiers", "whole number"),
    ('model = "m"\ncall = 1\n[[price]]\nmodel = "m"\ncall = 2\nfrom = 1970-01-01', 7,
     "price[1].from", "moment of price[0]"),
    ('model = "m"\ncall = 1\nsource = "' + "x" * 501 + '"', 4, "price[0].source", "longer"),
    ('model = "m"\ncall = 1\n[prcie]', 4, "prcie", "not a known key"),
])
def test_faults(lines: str, line: int, key: str, words: str) -> None:
    reading = read_prices(f"[[price]]\r\n{lines}\r\n")
    assert reading.book == NO_PRICES
    found = [(fault.key, fault.line) for fault in reading.faults]
    assert (key, line) in found
    fault = reading.faults[found.index((key, line))]
    assert words in fault.problem


def test_every_fault_in_one_pass() -> None:
    reading = read_prices('[[price]]\nmodel = 1\n[[price]]\nmodel = "m"\ninput = 0.5\nprice = 1\n')
    assert [(fault.line, fault.key) for fault in reading.faults] == [
        (1, "price[0].input"), (2, "price[0].model"), (5, "price[1].input"), (6, "price[1].price")]


def test_unreadable_files(tmp_path: Path) -> None:
    assert read_price_file(tmp_path / "none").faults[0].key == ""
    (tmp_path / "p").write_text("= 1")
    [fault] = read_price_file(tmp_path / "p").faults
    assert fault.line == 1 and "not TOML" in fault.problem


# the file that is shipped

def shipped(model: str, provider: str = "p") -> Price:
    price = read_price_file(SHIPPED).book.find(provider, model, READ_MS)
    assert price is not None, model
    return price


def test_the_shipped_file_is_usable_dated_and_sourced() -> None:
    reading = read_price_file(SHIPPED)
    assert reading.faults == [] and len(reading.book) > 300
    for price in reading.book.prices:
        assert price.since_ms == READ_MS and (price.source or "").startswith("https://")


@pytest.mark.parametrize(("model", "given"), [
    ("gpt-4o-mini", {"input": 15, "output": 60, "cache_read": 7.5, "search": 2.5}),
    ("gpt-4o-mini-2024-07-18", {"input": 15, "output": 60, "cache_read": 7.5, "search": 2.5}),
    ("gpt-4o-mini-search-preview", {"input": 15, "output": 60, "cache_read": 7.5, "call": 2.5}),
    ("gpt-4o-2024-05-13", {"input": 500, "output": 1500}),
    ("claude-sonnet-4-5", {"input": 300, "output": 1500, "cache_read": 30, "cache_creation": 375,
                           "cache_creation_1h": 600, "search": 1}),
    ("claude-opus-5-5-20261001", {"input": 400, "output": 2000, "cache_read": 20,
                                  "cache_creation": 500, "cache_creation_1h": 800, "search": 1}),
    ("whisper-1", {"audio_minute": 0.6}),
    ("text-embedding-3-small", {"input": 2}),
    ("omni-moderation-latest", {}),
])
def test_list_prices(model: str, given: dict[str, float]) -> None:
    """In cents for a million tokens, a minute, a call, a search."""
    assert shipped(model).prices == unit_prices(
        {kind: round(cents * 10 ** 7) for kind, cents in given.items()})


def test_long_context_costs_more() -> None:
    price = shipped("gemini-2.5-pro")
    (tier,) = price.tiers
    assert tier.above == 200_000 and tier.prices.input == 2 * price.prices.input


def test_models_that_several_serve_are_priced_for_one() -> None:
    assert shipped("openai/gpt-oss-120b", "groq").prices.input
    assert read_price_file(SHIPPED).book.find("p", "openai/gpt-oss-120b", READ_MS) is None
