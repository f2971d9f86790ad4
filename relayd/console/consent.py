"""Consents: what one agreed to, item by item; withdraw, agree, and what is asked for anew.

Law: nothing is ticked beforehand and nothing is bundled. A gate stands before a holder's pages and
keys, never before the privacy centre, the documents or the way out.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.preference import local
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import consent
from relayd.control.consent import Owed
from relayd.core.consent import ITEMS, Channel, Consent
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339

AGREE: Final = "/agree"
OPEN: Final = (
    AGREE, "/privacy", "/sign-out", "/prove", "/settings", "/email", "/notices", "/orders", "/pay",
    *(f"/api/v1/{name}" for name in (
        "account", "consents", "email", "erasure", "export", "factors", "notices", "passkeys",
        "password", "privacy", "proof", "sessions", "sign-ins", "tickets", "totp")))
"""Paths that no gate stands before: one's own data, how one signs in, and payments under way."""
_EXAMPLE: Final = {"item": "marketing"}


class ConsentForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item, given or withdrawn."""

    item: str
    give: bool = False


class AgreeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The items whose boxes were ticked."""

    items: list[str] = []
    next: str = "/"


class WayOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where somebody was going."""

    next: str = "/"


class ConsentState(msgspec.Struct, frozen=True):
    """An item as the account has it. `since` is the last decision about it."""

    item: str
    holds: bool
    required: bool
    act: str | None
    version: int | None
    since: str | None


class ConsentRow(msgspec.Struct, frozen=True):
    """One decision. `sha256` is of the words that were served."""

    item: str
    act: str
    document: str
    version: int
    sha256: str
    language: str
    channel: str
    at: str


class Consents(msgspec.Struct, frozen=True):
    """Every item, and every decision there was."""

    items: list[ConsentState]
    history: list[ConsentRow]


def is_open(route: Route) -> bool:
    """Whether no gate stands before a route: it is in OPEN, or ends something."""
    path = route.path
    return (any(path == each or path.startswith(each + "/") for each in OPEN)
            or route.method == "DELETE" or path.endswith("/revoke"))


async def admit(visit: Visit) -> None:
    """The gate. Raises `consent_missing` where the holder must agree to something first."""
    who = visit.who
    if visit.route.access.kind != "holder" or who is None or who.roles:
        return
    if is_open(visit.route):
        return
    found = await consent.owing(visit.db, who.account.id, visit.now_ms)
    if found:
        raise RelayError("consent_missing", param=found[0].items[0])
    await consent.note_use(visit.db, who.account.id, visit.now_ms)


async def _shown(visit: Visit) -> Consents:
    async with visit.db.reading() as transaction:
        found = await consent.standings(transaction, visit.account, visit.now_ms)
    rows = await consent.history(visit.db, visit.account)
    return Consents(
        [ConsentState(
            each.item.name, each.holds, each.item.required,
            each.latest.act if each.latest else None,
            each.latest.served.version if each.latest else None,
            rfc3339(each.latest.at_ms) if each.latest else None) for each in found],
        [_row(each) for each in reversed(rows)])


def _row(found: Consent) -> ConsentRow:
    served = found.served
    return ConsentRow(found.item, found.act, served.document, served.version, served.digest,
                      served.lang, served.channel, rfc3339(found.at_ms))


async def show(visit: Visit) -> web.Response:
    """The page of the privacy centre."""
    return page(visit, "privacy/consents.html", consents=await _shown(visit),
                documents={name: item.document for name, item in ITEMS.items()})


async def save(visit: Visit) -> web.Response:
    """Gives or withdraws one item."""
    form = visit.take(ConsentForm)
    await _decide(visit, form.item, form.give, "console")
    return redirect("/privacy/consents")


async def _decide(visit: Visit, item: str, give: bool, channel: Channel) -> None:
    if give:
        await consent.agree(visit.db, visit.actor, visit.account, [item],
                            (visit.language, channel), visit.now_ms)
    else:
        await consent.withdraw(
            visit.db, visit.actor, visit.account, item, channel, visit.now_ms)


async def ask(visit: Visit) -> web.Response:
    """What must be agreed to before going on."""
    return await _asked(visit, visit.ask(WayOn).next)


async def _asked(visit: Visit, way_on: str, fault: str | None = None) -> web.Response:
    owed = await consent.owing(visit.db, visit.account, visit.now_ms)
    if not owed:
        return redirect(local(way_on))
    return page(visit, "privacy/agree.html", 422 if fault else 200, owed=owed, next=way_on,
                fault=fault)


async def agree(visit: Visit) -> web.Response:
    """Records what was ticked; shows the page again where something required is missing."""
    form = visit.take(AgreeForm)
    owed = await consent.owing(visit.db, visit.account, visit.now_ms)
    lacking = [item for each in owed for item in each.items if item not in form.items]
    if lacking:
        return await _asked(visit, form.next, lacking[0])
    await consent.agree(visit.db, visit.actor, visit.account, _wanted(owed),
                        (visit.language, "console"), visit.now_ms)
    return redirect(local(form.next))


def _wanted(owed: list[Owed]) -> list[str]:
    return [item for each in owed for item in each.items]


async def api_show(visit: Visit) -> web.Response:
    """Every item and decision."""
    return reply(await _shown(visit))


async def api_give(visit: Visit) -> web.Response:
    """Agrees to an item, in the version in force."""
    await _decide(visit, visit.name("item"), True, "api")
    return nothing()


async def api_withdraw(visit: Visit) -> web.Response:
    """Withdraws an item."""
    await _decide(visit, visit.name("item"), False, "api")
    return nothing()


ROUTES: Final = (
    Route("GET", "/privacy/consents", show, HOLDER, "What one agreed to", closing=True),
    Route("POST", "/privacy/consents", save, HOLDER, "Give or withdraw a consent",
          takes=ConsentForm, closing=True),
    Route("GET", AGREE, ask, HOLDER, "What is to be agreed to", asks=WayOn),
    Route("POST", AGREE, agree, HOLDER, "Agree", takes=AgreeForm),
    Route("GET", "/api/v1/consents", api_show, HOLDER, "What one agreed to", gives=Consents,
          closing=True),
    Route("PUT", "/api/v1/consents/{item}", api_give, HOLDER, "Agree to an item", status=204,
          example=_EXAMPLE, errors=("invalid_value", "document_not_found")),
    Route("DELETE", "/api/v1/consents/{item}", api_withdraw, HOLDER, "Withdraw an item",
          status=204, closing=True, example=_EXAMPLE,
          errors=("invalid_value", "consent_required", "document_not_found")),
)
