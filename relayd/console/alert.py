"""Alerts: a mail when less than a mark is left of one's balance."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import alert
from relayd.core.errors import RelayError


class Alert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tell when less than `below`, a decimal text, is left of a currency; 0: never."""

    currency: str = ""
    below: str = ""


async def _alerts(visit: Visit) -> list[Alert]:
    return [msgspec.convert(alert.view(each), Alert)
            for each in await alert.of_account(visit.db, visit.account)]


async def _put(visit: Visit) -> None:
    wish = visit.take(Alert)
    await alert.put(visit.db, visit.account, wish.currency.strip(), wish.below.strip())


async def show(visit: Visit) -> web.Response:
    """The page."""
    return await _page(visit, Alert(visit.services.payments().config.currency))


async def _page(visit: Visit, form: Alert, error: RelayError | None = None) -> web.Response:
    return page(visit, "money/alerts.html", 200 if error is None else error.status,
                alerts=await _alerts(visit), form=form, error=error, fault=error and error.param)


async def put(visit: Visit) -> web.Response:
    """Sets one, or shows the form again with what was wrong in it."""
    try:
        await _put(visit)
    except RelayError as error:
        return await _page(visit, visit.take(Alert), error)
    return redirect("/balance/alerts")


async def give(visit: Visit) -> web.Response:
    """All of them for programs."""
    return reply(await _alerts(visit))


async def give_put(visit: Visit) -> web.Response:
    """Sets one for a program."""
    await _put(visit)
    return reply(await _alerts(visit))


ROUTES: Final = (
    Route("GET", "/balance/alerts", show, HOLDER, "Alerts of a low balance"),
    Route("POST", "/balance/alerts", put, HOLDER, "Set an alert", takes=Alert),
    Route("GET", "/api/v1/balance/alerts", give, HOLDER, "Alerts of a low balance",
          gives=list[Alert]),
    Route("PUT", "/api/v1/balance/alerts", give_put, HOLDER, "Set an alert", takes=Alert,
          gives=list[Alert], errors=("invalid_value",)),
)
