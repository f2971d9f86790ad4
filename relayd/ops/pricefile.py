"""Reads a price file (TOML) into `core.price.PriceBook`, or says everything that is wrong with it.

Law: the same as the configuration file's: every fault in one pass, each with its key, its line and
what would be right; unknown keys are faults. A price is a text of decimal digits or a whole
number, never a binary fraction.

    currency = "USD"                  # of entries that name none
    [[price]]
    model = "claude-*"                # or models = [...]; a name, or a pattern with *
    provider = "anthropic"            # a name of [providers], or a pattern; else any
    from = 2026-11-24                 # a date (UTC) or a time; without it: from the beginning
    input = "3"                       # for 1,000,000 tokens; the kinds are core.price.KINDS
    output = "15"
    tiers = [ { above = 200000, input = "6", output = "22.50" } ]
    source = "https://..."
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from relayd.core.errors import RelayError
from relayd.core.money import CURRENCY, CURRENCY_DEFAULT, NANO, parse_nano
from relayd.core.price import KINDS, NO_PRICES, Price, PriceBook, Tier, unit_prices
from relayd.core.timestamp import parse_past
from relayd.ops.configfile_fault import Fault, Findings, in_order
from relayd.ops.configfile_lines import key_lines
from relayd.ops.configfile_section import Section, digits_of, kind_of
from relayd.ops.tomlfile import file_text, parsed

PRICE_MAX: Final = 1_000_000
"""The highest price, in units of the currency."""
TIERS_MAX: Final = 16
STARS_MAX: Final = 3
"""More would let a long name take long to match."""
MODEL: Final = re.compile(r"[A-Za-z0-9*~@][A-Za-z0-9*._:/@+-]{0,255}")
PROVIDER: Final = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*._-]{0,62}")
_YEAR: Final = re.compile(r"[0-9]{4}-")
SOURCE_CHARS_MAX: Final = 500
INPUT_MAX: Final = 1 << 40
_REMEDY: Final = 'It takes a text of at most 9 decimals such as "0.15", or a whole number'
_MOMENT: Final = "It takes a date such as 2026-11-24, or a time"
_NAMES: Final = "Letters, digits and ._:/@+~- ; * stands for any text, at most 3 times"
_ALIASES: Final = {
    "prompt": "input", "completion": "output", "input_tokens": "input", "output_tokens": "output",
    "cached": "cache_read", "cached_input": "cache_read", "cache_write": "cache_creation",
    "cache_write_1h": "cache_creation_1h", "since": "from", "date": "from", "name": "model",
    "request": "call", "audio_second": "audio_minute", "url": "source", "tier": "tiers",
}


@dataclass(frozen=True, slots=True)
class PriceReading:
    """What came of a file: the book is empty where there are faults."""

    book: PriceBook
    faults: list[Fault] = field(default_factory=list)


def read_price_file(path: str | os.PathLike[str]) -> PriceReading:
    """Reads a file to the end, whatever is wrong with it; never raises for its content."""
    text = file_text(path)
    return PriceReading(NO_PRICES, [text]) if isinstance(text, Fault) else read_prices(text)


def read_prices(text: str) -> PriceReading:
    """The same for a text."""
    text = text.replace("\r\n", "\n")
    values = parsed(text)
    if isinstance(values, Fault):
        return PriceReading(NO_PRICES, [values])
    findings = Findings()
    prices = _read(Section(values, (), findings))
    if not findings.faults:
        return PriceReading(PriceBook(prices))
    # finding the lines takes as long as all the rest, and most files have no fault
    findings = Findings(key_lines(text))
    _read(Section(values, (), findings))
    return PriceReading(NO_PRICES, in_order(findings.faults))


def _read(root: Section) -> list[Price]:
    currency = _currency(root, CURRENCY_DEFAULT)
    found: dict[tuple[str, str, int], str] = {}
    prices = []
    for number, item in enumerate(root.tables("price")):
        for price in _entries(item, currency):
            names = (price.model, price.provider, price.since_ms)
            earlier = found.setdefault(names, f"price[{number}]")
            if earlier != f"price[{number}]":
                item.fault("from", f"is the moment of {earlier}, of the same model and provider",
                           "A new price needs a later one")
            prices.append(price)
    root.done({"prices": "price", "models": "price"})
    return prices


def _entries(item: Section, currency: str) -> list[Price]:
    """One price for each model that the entry names."""
    models = _models(item)
    provider = item.text("provider", "*") or "*"
    if not PROVIDER.fullmatch(provider) or provider.count("*") > STARS_MAX:
        item.fault("provider", "is not the name of a provider or a pattern", _NAMES)
    since_ms = _moment(item)
    currency = _currency(item, currency)
    given = _given(item)
    tiers = _tiers(item, given)
    source = item.text("source")
    if source is not None and len(source) > SOURCE_CHARS_MAX:
        item.fault("source", f"is longer than {SOURCE_CHARS_MAX} characters")
    item.done(_ALIASES)
    if not _priced(item):
        item.fault("input", "is missing, and so is every other price",
                   'Write call = "0" for a model that costs nothing')
    prices = unit_prices(given)
    return [Price(model, prices, provider, since_ms, currency, tiers, source) for model in models]


def _models(item: Section) -> tuple[str, ...]:
    single = item.text("model")
    several = item.texts("models", (), _model_problem, empty=False)
    if single is None and not several:
        if not item.has("model") and not item.has("models"):
            item.fault("model", "is missing", 'A model\'s name or a pattern such as "gpt-4o*"')
        return ()
    if single is not None and item.has("models"):
        item.fault("models", "is there beside model", "Only one of them")
    if single is not None and _model_problem(single):
        item.fault("model", _model_problem(single), _NAMES)
    return several if single is None else (single,)


def is_model(name: str) -> bool:
    """Whether this is a model name or a pattern."""
    return MODEL.fullmatch(name) is not None and name.count("*") <= STARS_MAX


def _model_problem(name: str) -> str:
    return "" if is_model(name) else "is not a model name or a pattern"


def _currency(section: Section, default: str) -> str:
    value = section.text("currency", default)
    if value is None or CURRENCY.fullmatch(value):
        return value or default
    section.fault("currency", "is not the code of a currency", "Three capitals, as in USD or CNY")
    return default


def _moment(item: Section) -> int:
    value = item.raw("from")
    if value is None:
        return 0
    if isinstance(value, date):
        # a datetime is a date too
        value = value.isoformat()
    if not isinstance(value, str):
        item.fault("from", f"is {kind_of(value)}", _MOMENT)
        return 0
    try:
        # without a year it would be a span
        return parse_past(value if _YEAR.match(value) else "", 0, "from")
    except RelayError:
        item.fault("from", "is not a moment", _MOMENT)
        return 0


def _given(item: Section) -> dict[str, int]:
    found = {}
    for kind in KINDS:
        value = item.raw(kind)
        nano = None if value is None else _nano(item, kind, value)
        if nano is not None:
            found[kind] = nano
    return found


def _priced(item: Section) -> bool:
    """Whether any price is there, right or wrong."""
    return any(item.has(kind) for kind in KINDS)


def _nano(item: Section, kind: str, value: object) -> int | None:
    if isinstance(value, float):
        item.fault(kind, "is a binary fraction, which holds few decimal prices exactly",
                   'Write it as a text: "0.15"')
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        item.fault(kind, f"is {kind_of(value)}", _REMEDY)
        return None
    nano = parse_nano(digits_of(value))
    if nano is None:
        item.fault(kind, "is not a price", _REMEDY)
    elif nano > PRICE_MAX * NANO:
        item.fault(kind, "is out of range", f"At most {PRICE_MAX}")
        return None
    return nano


def _tiers(item: Section, given: Mapping[str, int]) -> tuple[Tier, ...]:
    found: list[Tier] = []
    for tier in item.tables("tiers"):
        above = tier.integer("above", 0, 1, INPUT_MAX)
        if not tier.has("above"):
            tier.fault("above", "is missing", "So many input tokens are still at the price before")
        elif found and above <= found[-1].above:
            tier.fault("above", "is not above the tier before")
        others = _given(tier)
        if not _priced(tier):
            tier.fault("input", "is missing, and so is every other price")
        tier.done({**_ALIASES, "from": "above", "over": "above"})
        found.append(Tier(above, unit_prices({**given, **others})))
    if len(found) > TIERS_MAX:
        item.fault("tiers", f"has more than {TIERS_MAX} items")
    return tuple(found)
