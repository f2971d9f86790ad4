"""Prices and rating: a dated price book, and the amount of a call by it.

Law: usage x price -> amount, in integers, rounded once a call (core/money.py). Which price counts
depends on the call's own start, provider and model alone, so that a call can be rated at any time
with the same result while the book's past stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import attrgetter, mul
from typing import Final, NamedTuple, Protocol

import msgspec

from relayd.core.money import AMOUNT_MAX, CURRENCY_DEFAULT, rounded, split
from relayd.core.record import CallRecord
from relayd.core.usage import billed
from relayd.core.wildcard import Wildcard

_MILLION: Final = 1_000_000
_MINUTE: Final = 60
_SCALE: Final = _MILLION * _MINUTE
"""Amounts are summed in this part of a nano-unit: every price divides into it exactly."""
_FOUND_MAX: Final = 4096


class UnitPrices(NamedTuple):
    """What is paid, in nano-units >= 0: for 1,000,000 tokens of a kind, else as the name says.

    `input` and `output` are for the tokens of no other kind. `cache_creation` is for tokens that
    are put in a provider's cache for the usual time (5 minutes), `cache_creation_1h` for an hour.
    `call` is for each call, `image` for each image made, `audio_minute` for audio heard or made,
    `search` for each search of the web by the provider's own tool, `search_call` for a call with
    any.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0
    cache_creation_1h: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    call: int = 0
    image: int = 0
    audio_minute: int = 0
    search: int = 0
    search_call: int = 0


KINDS: Final = UnitPrices._fields
"""The names of unit prices, as a price file has them."""
_INSTEAD: Final = {
    "cache_read": "input", "cache_creation": "input", "cache_creation_1h": "cache_creation",
    "reasoning": "output", "audio_input": "input", "audio_output": "output",
    "image_input": "input", "image_output": "output",
}
_FACTORS: Final = (_MINUTE,) * 10 + (_SCALE, _SCALE, _MILLION, _SCALE, _SCALE)
"""A price times its factor is what one token, call, image or second costs in 1/_SCALE nano."""


def unit_prices(given: Mapping[str, int]) -> UnitPrices:
    """Prices from those that are given; a kind of tokens without its own is paid as its whole is.

    So cached tokens cost what input costs where nothing else is said, and so on.
    """
    found = dict(given)
    for name, instead in _INSTEAD.items():
        if name not in found:
            found[name] = found.get(instead, 0)
    return UnitPrices(**found)


class Tier(NamedTuple):
    """Other prices for a whole call with more input than `above`, cached tokens included."""

    above: int
    prices: UnitPrices


@dataclass(frozen=True, slots=True)
class Price:
    """One entry of the book: what calls of a model cost from a moment on, until the next entry.

    `model` and `provider` are names or patterns in which `*` stands for any text; tiers are in
    rising order. `since_ms` is Unix time; 0: from the beginning.
    """

    model: str
    prices: UnitPrices
    provider: str = "*"
    since_ms: int = 0
    currency: str = CURRENCY_DEFAULT
    tiers: tuple[Tier, ...] = ()
    source: str | None = None

    def of(self, input_tokens: int) -> UnitPrices:
        """The prices of a call with so much input."""
        found = self.prices
        for tier in self.tiers:
            if input_tokens > tier.above:
                found = tier.prices
        return found


def quantities(record: CallRecord) -> UnitPrices:
    """How much of each kind a call used, every token in one kind alone.

    Providers report parts of the input that may overlap (audio that came from the cache), and not
    by how much. They are taken one after the other, each from what the ones before it left: read
    from the cache, put in it, audio, images. What is in two parts is then paid once, by the first;
    the rest is plain input, and never below 0. The output alike: reasoning, audio, images.
    """
    given = record.input_tokens
    read = min(record.cache_read_input_tokens, given)
    given -= read
    written = min(record.cache_creation_input_tokens, given)
    given -= written
    hour = min(record.cache_creation_1h_input_tokens, written)
    heard = min(record.audio_input_tokens, given)
    given -= heard
    seen = min(record.image_input_tokens, given)
    given -= seen
    made = record.output_tokens
    reasoning = min(record.reasoning_output_tokens, made)
    made -= reasoning
    spoken = min(record.audio_output_tokens, made)
    made -= spoken
    drawn = min(record.image_output_tokens, made)
    return UnitPrices(given, made - drawn, read, written - hour, hour, reasoning, heard, spoken,
                      seen, drawn, 1, record.images, record.audio_seconds, record.searches,
                      min(record.searches, 1))


def _scaled(record: CallRecord, price: Price) -> Iterable[int]:
    used = quantities(record)
    return map(mul, map(mul, used, price.of(record.input_tokens)), _FACTORS)


_rare: Final = attrgetter(
    "audio_input_tokens", "image_input_tokens", "audio_output_tokens", "image_output_tokens",
    "images", "audio_seconds", "searches")


def _sum(record: CallRecord, price: Price) -> int:
    """What `_scaled` adds up to."""
    if any(_rare(record)):
        return sum(_scaled(record, price))
    # most calls: input, of which parts are cached, and output
    given, made = record.input_tokens, record.output_tokens
    unit = price.of(given)
    paid = given * unit.input + made * unit.output
    reasoning = record.reasoning_output_tokens
    if reasoning:
        paid += min(reasoning, made) * (unit.reasoning - unit.output)
    read, written = record.cache_read_input_tokens, record.cache_creation_input_tokens
    if read or written:
        read = min(read, given)
        written = min(written, given - read)
        hour = min(record.cache_creation_1h_input_tokens, written)
        paid += (read * unit.cache_read + (written - hour) * unit.cache_creation
                 + hour * unit.cache_creation_1h - (read + written) * unit.input)
    return paid * _MINUTE + unit.call * _SCALE


def amount(record: CallRecord, price: Price, markup: int = _MILLION) -> int:
    """What the call costs, in nano-units of the price's currency: 0 to AMOUNT_MAX.

    What would be more is AMOUNT_MAX: a record that the store refuses would be lost, and no call
    costs that much where the price is right. `markup` is in millionths of the price; the amount is
    rounded once, after it.
    """
    if markup == _MILLION:
        nano = rounded(_sum(record, price), _SCALE)
    else:
        nano = rounded(_sum(record, price) * markup, _SCALE * _MILLION)
    return nano if nano < AMOUNT_MAX else AMOUNT_MAX


def amounts(record: CallRecord, price: Price) -> dict[str, int]:
    """The amount by kind, without zeros; the parts add up to `amount` exactly."""
    parts = split(list(_scaled(record, price)), _SCALE)
    marks = [min(mark, AMOUNT_MAX) for mark in accumulate(parts)]
    found = {}
    for name, mark, before in zip(KINDS, marks, (0, *marks), strict=False):
        if mark > before:
            found[name] = mark - before
    return found


class Rates(Protocol):
    """What gives records their amounts: a book, or a tariff made of one (core/plan.py)."""

    def rated(self, record: CallRecord) -> CallRecord:
        """The record with its amount and currency; the same one where it has an amount already."""


class _Line(NamedTuple):
    """The entries of one model and provider, by date."""

    provider: Wildcard
    since_ms: tuple[int, ...]
    prices: tuple[Price, ...]

    def at(self, unix_ms: int) -> Price | None:
        place = bisect_right(self.since_ms, unix_ms)
        return self.prices[place - 1] if place else None


def _specificity(names: tuple[str, str]) -> tuple[object, ...]:
    """Sorts (model, provider): a name before a pattern, a longer pattern before a shorter one.

    The model decides before the provider, and the alphabet where nothing else does.
    """
    return tuple(part for name in names
                 for part in ("*" in name, -len(name.replace("*", "")))) + names


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern stands for this name, or is it."""
    return Wildcard(pattern).stands_for(name)


class PriceBook:
    """All prices. `prices` are the entries as they were given; two books of equal ones are equal.

    Of two entries with the same model, provider and moment the later one counts; who reads a file
    refuses them before.
    """

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self.prices = tuple(prices)
        groups: defaultdict[tuple[str, str], dict[int, Price]] = defaultdict(dict)
        for price in self.prices:
            groups[price.model, price.provider][price.since_ms] = price
        # in the order of what counts; names are found by hash, so that only patterns are tried
        self._named: defaultdict[str, list[_Line]] = defaultdict(list)
        self._patterns: list[tuple[Wildcard, _Line]] = []
        for names in sorted(groups, key=_specificity):
            line = _line(Wildcard(names[1]), groups[names])
            if "*" in names[0]:
                self._patterns.append((Wildcard(names[0]), line))
            else:
                self._named[names[0]].append(line)
        self._found: dict[tuple[str, str], tuple[_Line, ...]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PriceBook) and self.prices == other.prices

    def __hash__(self) -> int:
        return hash(self.prices)

    def __len__(self) -> int:
        return len(self.prices)

    def __repr__(self) -> str:
        return f"PriceBook({len(self.prices)} prices)"

    def find(self, provider: str, model: str, unix_ms: int) -> Price | None:
        """The price of a model at a provider at that time, or None.

        Of all entries that match and have begun, the most specific one counts, and of those with
        the same names the newest.
        """
        found = self._found.get((provider, model))
        if found is None:
            found = self._matching(provider, model)
        for line in found:
            if line.since_ms[-1] <= unix_ms:
                return line.prices[-1]
            price = line.at(unix_ms)
            if price is not None:
                return price
        return None

    def _matching(self, provider: str, model: str) -> tuple[_Line, ...]:
        # clients choose names where a route is a pattern: what they can fill has a bound
        if len(self._found) >= _FOUND_MAX:
            self._found.clear()
        lines = [*self._named.get(model, ()), *(
            line for pattern, line in self._patterns if pattern.stands_for(model))]
        found = self._found[provider, model] = tuple(
            line for line in lines if line.provider.stands_for(provider))
        return found

    def in_force(self, unix_ms: int) -> list[Price]:
        """The entries that count at that time, one for each model and provider."""
        lines = [*chain.from_iterable(self._named.values()), *(line for _, line in self._patterns)]
        found = [price for line in lines if (price := line.at(unix_ms)) is not None]
        return sorted(found, key=lambda price: (price.model, price.provider))

    def price_of(self, record: CallRecord) -> Price | None:
        """The price of a call: of the model that was sent, else of the one that was asked for.

        None where the book has neither, or the call was never sent.
        """
        if record.provider is None:
            return None
        for name in (record.provider_model, record.model):
            if name is not None:
                price = self.find(record.provider, name, record.started_at_ms)
                if price is not None:
                    return price
        return None

    def rated(self, record: CallRecord) -> CallRecord:
        """The record with its amount and currency; the same one where it has an amount already.

        0 stays 0 where the call is not billed (core/usage.py) or has no price.
        """
        if record.amount_nano or not billed(record.outcome, record.usage_source):
            return record
        price = self.price_of(record)
        if price is None:
            return record
        return msgspec.structs.replace(
            record, amount_nano=amount(record, price), currency=price.currency)


def _line(provider: Wildcard, prices: Mapping[int, Price]) -> _Line:
    moments = sorted(prices)
    return _Line(provider, tuple(moments), tuple(prices[moment] for moment in moments))


NO_PRICES: Final = PriceBook()
"""The book of who has none: every amount is 0."""
