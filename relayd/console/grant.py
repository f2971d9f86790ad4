"""Credit that one was given: what is left of it, until when, and a code that gives more."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.signed import Secret
from relayd.console.visit import Visit
from relayd.control import grant
from relayd.core.errors import RelayError
from relayd.core.grant import GrantSource


class Grant(msgspec.Struct, frozen=True):
    """Credit, as decimal texts. `left` falls when calls are charged, within an hour of them."""

    id: str
    currency: str
    amount: str
    left: str
    source: GrantSource
    created_at: str
    expires_at: str | None


class Redeemed(Secret, frozen=True, forbid_unknown_fields=True):
    """A code to redeem."""

    code: str = ""


async def granted(visit: Visit, account: str) -> list[Grant]:
    """All credit of an account, the newest first."""
    return [msgspec.convert(grant.view(each), Grant)
            for each in await grant.listing(visit.db, account)]


async def _redeem(visit: Visit) -> Grant:
    made = await grant.redeem(
        visit.db, visit.account, visit.take(Redeemed).code, visit.now_ms, visit.actor)
    return msgspec.convert(grant.view(made), Grant)


async def show(visit: Visit) -> web.Response:
    """The page."""
    return await _page(visit)


async def _page(visit: Visit, error: RelayError | None = None) -> web.Response:
    return page(visit, "money/credit.html", 200 if error is None else error.status,
                grants=await granted(visit, visit.account), error=error,
                fault=error and error.param)


async def redeem(visit: Visit) -> web.Response:
    """Takes the code, or shows the form again; a code that failed is not shown again."""
    try:
        await _redeem(visit)
    except RelayError as error:
        return await _page(visit, error)
    return redirect("/credit")


async def give(visit: Visit) -> web.Response:
    """All credit for programs."""
    return reply(await granted(visit, visit.account))


async def give_new(visit: Visit) -> web.Response:
    """The credit of a code."""
    return reply(await _redeem(visit), 201)


ROUTES: Final = (
    Route("GET", "/credit", show, HOLDER, "Credit given"),
    Route("POST", "/credit", redeem, HOLDER, "Redeem a code", takes=Redeemed),
    Route("GET", "/api/v1/credit", give, HOLDER, "Credit given", gives=list[Grant]),
    Route("POST", "/api/v1/credit", give_new, HOLDER, "Redeem a code", takes=Redeemed,
          gives=Grant, status=201, errors=("code_not_usable", "own_account")),
)
