"""Spending caps: what one's account may spend a day and a month at most, by one's own will.

Law: a cap makes the operator's budget smaller, never larger. Caps of single keys stand with them.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import limit
from relayd.core.errors import RelayError
from relayd.core.limit import CAPS, EMPTY_BOOK, OwnLimits
from relayd.core.money import decimal


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decimal texts; null or 0: none."""

    daily_cap: str | None = None
    monthly_cap: str | None = None


class CapsShown(msgspec.Struct, frozen=True):
    """One's caps, and the budgets that count now: the smaller of cap and operator's budget, as
    decimal texts; null: none. UTC days and months."""

    daily_cap: str | None
    monthly_cap: str | None
    daily_budget: str | None
    monthly_budget: str | None


def _text(nano: int) -> str | None:
    return decimal(nano, 2) if nano else None


async def _shown(visit: Visit) -> CapsShown:
    _, own = await limit.show(visit.db, "account", visit.account)
    book = visit.services.config().limits.book() or EMPTY_BOOK
    counting = OwnLimits(own).of_account(book.defaults)
    return CapsShown(*map(_text, (
        *(own.get(name, 0) for name in CAPS), counting.daily_budget, counting.monthly_budget)))


async def _put(visit: Visit) -> None:
    wish = visit.take(Caps)
    texts = {"daily_cap": wish.daily_cap, "monthly_cap": wish.monthly_cap}
    await limit.change(visit.db, "account", visit.account, {
        name: (text or "").strip() or limit.DEFAULT for name, text in texts.items()},
        visit.now_ms, visit.actor)


async def show(visit: Visit) -> web.Response:
    """The page."""
    return await _page(visit)


async def _page(
    visit: Visit, form: Caps | None = None, error: RelayError | None = None
) -> web.Response:
    shown = await _shown(visit)
    return page(visit, "money/caps.html", 200 if error is None else error.status, shown=shown,
                form=form or Caps(shown.daily_cap, shown.monthly_cap), error=error,
                fault=error and error.param)


async def put(visit: Visit) -> web.Response:
    """Sets both, or shows the form again with what was wrong in it."""
    try:
        await _put(visit)
    except RelayError as error:
        return await _page(visit, visit.take(Caps), error)
    return redirect("/balance/caps")


async def give(visit: Visit) -> web.Response:
    """Both for programs."""
    return reply(await _shown(visit))


async def give_put(visit: Visit) -> web.Response:
    """Sets both for a program."""
    await _put(visit)
    return reply(await _shown(visit))


ROUTES: Final = (
    Route("GET", "/balance/caps", show, HOLDER, "Spending caps"),
    Route("POST", "/balance/caps", put, HOLDER, "Set spending caps", takes=Caps),
    Route("GET", "/api/v1/balance/caps", give, HOLDER, "Spending caps", gives=CapsShown),
    Route("PUT", "/api/v1/balance/caps", give_put, HOLDER, "Set spending caps", takes=Caps,
          gives=CapsShown, errors=("invalid_value",)),
)
