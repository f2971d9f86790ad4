"""What is left to spend, and what moved it: the page of movements, and both for programs."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import posting, wallet
from relayd.core.money import decimal
from relayd.core.timestamp import rfc3339

PAGE: Final = 100
NUMBER_MAX: Final = (1 << 53) - 1
CURRENCY: Final = r"^[A-Z]{3}$"


class Left(msgspec.Struct, frozen=True):
    """What may still be spent of a currency, as decimal texts: `left` counts every call that is
    stored, and may be below nothing by as much as `credit`."""

    currency: str
    left: str
    credit: str


class Movement(msgspec.Struct, frozen=True):
    """A transfer that moved the balance."""

    number: int
    at: str
    kind: str
    amount: str
    currency: str


class MovementQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Transfers in one currency (null: that of payments), before this number. `of` is the balance,
    or the credit given."""

    currency: Annotated[str, msgspec.Meta(pattern=CURRENCY)] | None = None
    before: Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)] | None = None
    of: Literal["balance", "promo"] = "balance"


def signed_decimal(nano: int) -> str:
    """A decimal text that may be below nothing."""
    return ("-" if nano < 0 else "") + decimal(abs(nano), 2)


async def left(visit: Visit, account: str) -> list[Left]:
    """An account's, by currency."""
    return [Left(each.currency, signed_decimal(each.nano), decimal(each.credit_nano, 2))
            for each in await wallet.money(visit.db, account)]


def _currency(visit: Visit) -> str:
    return visit.ask(MovementQuery).currency or visit.services.payments().config.currency


async def _movements(visit: Visit) -> list[Movement]:
    asked, currency = visit.ask(MovementQuery), _currency(visit)
    found = await posting.history(
        visit.db, visit.account, currency, asked.of, asked.before, PAGE)
    return [Movement(posted.number, rfc3339(posted.at_ms), posted.transfer.kind,
                     signed_decimal(nano), currency) for posted, nano in found]


async def show(visit: Visit) -> web.Response:
    """The page."""
    return page(visit, "money/movements.html", movements=await _movements(visit), more=PAGE,
                currency=_currency(visit), of=visit.ask(MovementQuery).of)


async def give(visit: Visit) -> web.Response:
    """What is left, by currency."""
    return reply(await left(visit, visit.account))


async def give_movements(visit: Visit) -> web.Response:
    """What moved the balance, the newest first."""
    return reply(await _movements(visit))


ROUTES: Final = (
    Route("GET", "/balance/movements", show, HOLDER, "What moved a balance", asks=MovementQuery),
    Route("GET", "/api/v1/balance/left", give, HOLDER, "What is left to spend",
          gives=list[Left]),
    Route("GET", "/api/v1/balance/movements", give_movements, HOLDER, "What moved a balance",
          asks=MovementQuery, gives=list[Movement]),
)
