"""The price book, for operators: what is in force, what comes, and what has no price.

Law: read from the file. Prices are changed there, where their past stays; nothing here writes.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from aiohttp import web

from relayd.console.model import COLUMNS, PriceShown, price_shown, special
from relayd.console.page import page, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.core.price import Price
from relayd.ops.config import Config

MONEY: Final = operators("owner", "finance", "support")


class Entry(msgspec.Struct, frozen=True):
    """An entry of the book; `when` says whether it counts now or from its `since` on."""

    model: str
    when: Literal["now", "later"]
    source: str | None
    price: PriceShown


class Unpriced(msgspec.Struct, frozen=True):
    """A deployment whose calls cost nothing, because the book has no price for them."""

    provider: str
    model: str


class Book(msgspec.Struct, frozen=True):
    """The price book as it is now."""

    entries: list[Entry]
    unpriced: list[Unpriced]


def book(config: Config, now_ms: int) -> Book:
    """What counts now and later; what is past is in the file."""
    later = [price for price in config.prices.prices if price.since_ms > now_ms]
    entries = [_entry(price, "now") for price in config.prices.in_force(now_ms)]
    return Book(entries + [_entry(price, "later") for price in later], _unpriced(config, now_ms))


def _entry(price: Price, when: Literal["now", "later"]) -> Entry:
    return Entry(price.model, when, price.source, price_shown(price, price.provider))


def _unpriced(config: Config, now_ms: int) -> list[Unpriced]:
    found: dict[Unpriced, None] = {}
    for route in config.routes:
        for place in route.deployments:
            names = [name for name in (place.model, route.pattern) if name and "*" not in name]
            if names and not any(
                    config.prices.find(place.provider, name, now_ms) for name in names):
                found[Unpriced(place.provider, names[0])] = None
    return list(found)


async def show(visit: Visit) -> web.Response:
    """The page."""
    return page(visit, "operate/prices.html", columns=COLUMNS, special=special,
                book=book(visit.services.config(), visit.now_ms))


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(book(visit.services.config(), visit.now_ms))


ROUTES: Final = (
    Route("GET", "/operate/prices", show, MONEY, "Prices that count, and those that come."),
    Route("GET", "/api/v1/operate/prices", give, MONEY,
          "Prices that count, those that come, and what has none.", gives=Book),
)
