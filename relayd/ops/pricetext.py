"""Writes entries of a price book as TOML, and finds out which of them are news.

Law: what is written is read back as the same entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from relayd.core.money import decimal
from relayd.core.price import KINDS, Price, PriceBook, UnitPrices, unit_prices
from relayd.core.timestamp import DAY_MS, rfc3339


class SameMoment(Exception):
    """The book has another price of this model from the same moment on; args are its model."""


def news(book: PriceBook, prices: Iterable[Price]) -> list[Price]:
    """Those of the prices by which calls from their moment on would be rated otherwise.

    Raises SameMoment where a new entry would contradict one of the same moment.
    """
    taken = {(price.model, price.provider, price.since_ms) for price in book.prices}
    found = []
    for price in prices:
        # an entry for any provider is compared with those for any provider
        provider = "" if price.provider == "*" else price.provider
        known = book.find(provider, price.model, price.since_ms)
        if known is not None and _paid(known) == _paid(price):
            continue
        if (price.model, price.provider, price.since_ms) in taken:
            raise SameMoment(price.model)
        found.append(price)
    return found


def _paid(price: Price) -> tuple[object, ...]:
    return price.currency, price.prices, price.tiers


def entry_text(price: Price) -> str:
    """The entry as a `[[price]]` table."""
    given = _shortest(price.prices, {})
    lines = ["[[price]]", f'model = "{price.model}"']
    if price.provider != "*":
        lines.append(f'provider = "{price.provider}"')
    if price.since_ms:
        lines.append(f"from = {_moment(price.since_ms)}")
    lines.append(f'currency = "{price.currency}"')
    lines += [f'{name} = "{decimal(nano)}"' for name, nano in given.items()]
    if price.tiers:
        lines.append("tiers = [")
        for tier in price.tiers:
            others = _shortest(tier.prices, given)
            parts = [f"above = {tier.above}"]
            parts += [f'{name} = "{decimal(nano)}"' for name, nano in others.items()]
            lines.append(f"  {{ {', '.join(parts)} }},")
        lines.append("]")
    if price.source is not None:
        lines.append(f"source = {_quoted(price.source)}")
    return "\n".join(lines) + "\n"


def entries_text(title: str, prices: Iterable[Price]) -> str:
    """Entries under a line of comment."""
    return "\n".join((f"# {title}\n", *map(entry_text, prices)))


def _shortest(prices: UnitPrices, given: Mapping[str, int]) -> dict[str, int]:
    """The fewest prices which, over those that are given, say the same; at least one."""
    found: dict[str, int] = {}
    for name in KINDS:
        if getattr(unit_prices({**given, **found}), name) != getattr(prices, name):
            found[name] = getattr(prices, name)
    return found or {"call": prices.call}


def _moment(unix_ms: int) -> str:
    if unix_ms % DAY_MS:
        return rfc3339(unix_ms)
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m-%d}"


def _quoted(text: str) -> str:
    """A TOML basic string of a printable text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
