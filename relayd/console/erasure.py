"""The way out: what would go and what must stay, asking for it, calling it off, its certificate.

Law: nobody's account is closed by a link alone, or by a session whose holder has not said lately
who they are. What is mailed needs no sign-in: there may be none any more.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from relayd.console.export import download
from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import erasure
from relayd.control.erasure import CANCEL_PATH, CERTIFICATE_PATH, Wish
from relayd.core.actor import Actor
from relayd.core.erasure import STAYS
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339

_ERRORS: Final = ("erasure_state", "account_state")
UNTIL: Final = {part.name: part.until for part in STAYS}


class EraseForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A box that says that what goes and what stays was read."""

    understood: bool = False


class ByMail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a mailed link holds."""

    token: str = ""


class Stays(msgspec.Struct, frozen=True):
    """What must stay of an account, on what ground and until when."""

    part: str
    rows: int
    until: str
    basis: str


class Waiting(msgspec.Struct, frozen=True):
    """An erasure that was asked for and can still be called off."""

    id: str
    asked_at: str
    due_at: str


class ErasureState(msgspec.Struct, frozen=True):
    """What would go, in rows by part, and what would stay; and what is under way."""

    goes: dict[str, int]
    stays: list[Stays]
    waiting: Waiting | None


async def _state(visit: Visit) -> ErasureState:
    terms = visit.services.config().retention.terms()
    found = await erasure.summary(visit.db, visit.account, terms, visit.now_ms)
    under_way = await erasure.waiting(visit.db, visit.account)
    return ErasureState(
        found.goes, [Stays(each.part, each.rows, each.until, each.basis) for each in found.stays],
        None if under_way is None else Waiting(
            under_way.id, rfc3339(under_way.asked_at_ms), rfc3339(under_way.due_at_ms)))


async def show(visit: Visit) -> web.Response:
    """What would go, and what must stay."""
    return await _shown(visit)


async def _shown(visit: Visit, fault: str | None = None) -> web.Response:
    return page(visit, "privacy/erase.html", 422 if fault else 200, found=await _state(visit),
                until=UNTIL, fault=fault)


async def ask(visit: Visit) -> web.Response:
    """Closes the account; it is erased in seven days."""
    if not visit.take(EraseForm).understood:
        return await _shown(visit, "understood")
    asked = await erasure.ask(visit.db, visit.actor, visit.account, Wish(), visit.now_ms,
                              visit.services.door.link)
    return page(visit, "privacy/closed.html", due_at_ms=asked.due_at_ms)


async def keep(visit: Visit) -> web.Response:
    """Calls it off, for who is signed in."""
    await _keep(visit)
    return redirect("/privacy")


async def _keep(visit: Visit) -> None:
    found = await erasure.waiting(visit.db, visit.account)
    if found is None:
        raise RelayError("erasure_not_found")
    await erasure.cancel(
        visit.db, visit.actor, found, visit.now_ms, visit.services.door.link)


async def show_cancel(visit: Visit) -> web.Response:
    """What a mailed link would call off."""
    token = visit.ask(ByMail).token
    found = await erasure.by_link(visit.db, token)
    return page(visit, "privacy/cancel.html", due_at_ms=found.due_at_ms, token=token, done=False)


async def cancel(visit: Visit) -> web.Response:
    """Calls it off, for who has the mailed link."""
    found = await erasure.by_link(visit.db, visit.take(ByMail).token)
    holder = Actor(found.account, frozenset(), "console")
    await erasure.cancel(visit.db, holder, found, visit.now_ms, visit.services.door.link)
    return page(visit, "privacy/cancel.html", due_at_ms=None, token="", done=True)


async def certificate(visit: Visit) -> web.Response:
    """The signed certificate of an erasure, as a file."""
    text = await erasure.certificate(visit.db, visit.ask(ByMail).token)
    return download("erasure-certificate.json", text.encode(), "application/json")


async def api_show(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _state(visit))


async def api_ask(visit: Visit) -> web.Response:
    """Closes the account."""
    asked = await erasure.ask(visit.db, visit.actor, visit.account, Wish(), visit.now_ms,
                              visit.services.door.link)
    return reply(Waiting(asked.id, rfc3339(asked.asked_at_ms), rfc3339(asked.due_at_ms)), 202)


async def api_keep(visit: Visit) -> web.Response:
    """Calls it off."""
    await _keep(visit)
    return reply(await _state(visit))


async def api_certificate(visit: Visit) -> web.Response:
    """The certificate that a mailed secret fetches."""
    text = await erasure.certificate(visit.db, visit.ask(ByMail).token)
    return reply(msgspec.Raw(text.encode()))


ROUTES: Final = (
    Route("GET", "/privacy/erase", show, HOLDER, "Have the account erased", closing=True),
    Route("POST", "/privacy/erase", ask, HOLDER, "Close it", takes=EraseForm, proof=True),
    Route("POST", "/privacy/erase/keep", keep, HOLDER, "Call it off", closing=True),
    Route("GET", CANCEL_PATH, show_cancel, PUBLIC, "Call an erasure off", asks=ByMail),
    Route("POST", CANCEL_PATH, cancel, PUBLIC, "Call it off", takes=ByMail),
    Route("GET", CERTIFICATE_PATH, certificate, PUBLIC, "The certificate of an erasure",
          asks=ByMail),
    Route("GET", "/api/v1/erasure", api_show, HOLDER,
          "What an erasure would remove, what must stay, and what is under way.",
          gives=ErasureState, closing=True),
    Route("POST", "/api/v1/erasure", api_ask, HOLDER,
          "Close the account: it is erased after seven days.", gives=Waiting, status=202,
          proof=True, errors=_ERRORS),
    Route("DELETE", "/api/v1/erasure", api_keep, HOLDER, "Call the erasure off.",
          gives=ErasureState, closing=True, errors=("erasure_not_found", "erasure_state")),
    Route("GET", "/api/v1/erasure/certificate", api_certificate, PUBLIC,
          "The signed certificate of an erasure.", asks=ByMail, gives=dict[str, Any],
          errors=("erasure_not_found",)),
)
