"""Lawful requests, for operators: enter, see, approve or refuse; files are produced in the shell.

Law: who entered a request cannot decide on it, nor can whom it is about. Whom it is about and why
travel in forms.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.control import lawful
from relayd.control.lawful import Entry, Hand
from relayd.core.errors import RelayError
from relayd.core.lawful import AT_SHELL, BASES, SCOPES, Basis, LawfulRequest
from relayd.core.timestamp import parse_future, parse_past

SEE: Final = operators("legal", "owner")
PATH: Final = "/operate/requests"
_EXAMPLE: Final = {"request": "req_none"}
_ERRORS: Final = ("request_not_found", "request_state", "two_persons", "reason_missing",
                  "invalid_value", "role_needed", "own_account")


class RequestForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is entered of a request. Times are dates or RFC 3339; `until` empty: now."""

    account: str = ""
    basis: Basis = "court_order"
    authority: str = ""
    reference: str = ""
    document_sha256: str = ""
    scope: list[str] = []
    since: str = ""
    until: str = ""
    gag_until: str = ""
    reason: str = ""

    def __repr__(self) -> str:
        return "RequestForm"


class DecisionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, for the audit log."""

    reason: str = ""

    def __repr__(self) -> str:
        return "DecisionForm"


class Request(msgspec.Struct, frozen=True):
    """A lawful request. Whoever entered it cannot decide on it."""

    id: str
    account: str
    basis: str
    state: str
    authority: str
    reference: str
    document_sha256: str
    scope: list[str]
    since: str
    until: str
    requester: str
    approver: str | None
    opened_at: str
    decided_at: str | None
    expires_at: str
    produced_at: str | None
    produced: dict[str, int] | None
    produced_sha256: str | None
    canary_sha256: str | None
    gag_until: str | None
    notified_at: str | None


class Requests(msgspec.Struct, frozen=True):
    """All requests, the newest first."""

    requests: list[Request]


def _shown(found: LawfulRequest) -> Request:
    return msgspec.convert(lawful.view(found), Request)


async def _all(visit: Visit) -> Requests:
    return Requests([_shown(each) for each in await lawful.listing(visit.db, visit.actor)])


async def show_all(visit: Visit) -> web.Response:
    """The list, and the form of a new one."""
    return await _listed(visit, RequestForm(), None)


async def _listed(visit: Visit, form: RequestForm, error: RelayError | None) -> web.Response:
    return page(visit, "operate/requests.html", 200 if error is None else error.status,
                found=(await _all(visit)).requests, form=form, error=error,
                fault=error and error.param, scopes=SCOPES,
                bases=[(each, visit.t(f"requests.basis_{each}")) for each in BASES])


async def enter(visit: Visit) -> web.Response:
    """Enters a request, or shows what was wrong in it."""
    form = visit.take(RequestForm)
    try:
        made = await _enter(visit, form)
    except RelayError as error:
        return await _listed(visit, form, error)
    return redirect(f"{PATH}/{made.id}")


async def _enter(visit: Visit, form: RequestForm) -> LawfulRequest:
    now_ms = visit.now_ms
    entry = Entry(
        account=form.account, basis=form.basis, authority=form.authority,
        reference=form.reference, document_sha256=form.document_sha256, scope=tuple(form.scope),
        since_ms=parse_past(form.since, now_ms, "since"),
        until_ms=parse_past(form.until, now_ms, "until") if form.until else now_ms,
        gag_until_ms=parse_future(form.gag_until, now_ms, "gag_until") if form.gag_until else None,
        reason=form.reason)
    terms = visit.services.config().retention.terms()
    return await lawful.enter(visit.db, Hand(visit.actor, form.reason), entry, terms, now_ms)


async def show(visit: Visit) -> web.Response:
    """One request."""
    return await _page(visit, None)


async def _page(visit: Visit, error: RelayError | None) -> web.Response:
    found = await lawful.get(visit.db, visit.actor, visit.name("request"))
    return page(visit, "operate/request.html", 200 if error is None else error.status,
                found=_shown(found), error=error, fault=error and error.param,
                own=not _may_decide(visit, found))


def _may_decide(visit: Visit, found: LawfulRequest) -> bool:
    """Whether they may be the second of two people."""
    return visit.account not in (found.requester, found.account) and (
        not found.requester.startswith(AT_SHELL))


async def _decide(visit: Visit, *, approve: bool) -> LawfulRequest:
    hand = Hand(visit.actor, visit.take(DecisionForm).reason)
    decide = lawful.approve if approve else lawful.refuse
    return await decide(visit.db, hand, visit.name("request"), visit.now_ms)


async def _decided(visit: Visit, *, approve: bool) -> web.Response:
    try:
        await _decide(visit, approve=approve)
    except RelayError as error:
        if error.code == "request_not_found":
            raise
        return await _page(visit, error)
    return redirect(f"{PATH}/{visit.name('request')}")


async def approve(visit: Visit) -> web.Response:
    """Approves it."""
    return await _decided(visit, approve=True)


async def refuse(visit: Visit) -> web.Response:
    """Refuses it."""
    return await _decided(visit, approve=False)


async def api_all(visit: Visit) -> web.Response:
    """All requests."""
    return reply(await _all(visit))


async def api_enter(visit: Visit) -> web.Response:
    """Enters a request."""
    return reply(_shown(await _enter(visit, visit.take(RequestForm))), 201)


async def api_show(visit: Visit) -> web.Response:
    """One request."""
    return reply(_shown(await lawful.get(visit.db, visit.actor, visit.name("request"))))


async def api_approve(visit: Visit) -> web.Response:
    """Approves it."""
    return reply(_shown(await _decide(visit, approve=True)))


async def api_refuse(visit: Visit) -> web.Response:
    """Refuses it."""
    return reply(_shown(await _decide(visit, approve=False)))


_DECIDE: Final[dict[str, Any]] = {
    "takes": DecisionForm, "gives": Request, "example": _EXAMPLE, "errors": _ERRORS}
ROUTES: Final = (
    Route("GET", PATH, show_all, SEE, "Lawful requests"),
    Route("POST", PATH, enter, SEE, "Enter one", takes=RequestForm),
    Route("GET", PATH + "/{request}", show, SEE, "A lawful request", example=_EXAMPLE),
    Route("POST", PATH + "/{request}/approve", approve, SEE, "Approve it", takes=DecisionForm,
          proof=True, example=_EXAMPLE),
    Route("POST", PATH + "/{request}/refuse", refuse, SEE, "Refuse it", takes=DecisionForm,
          example=_EXAMPLE),
    Route("GET", "/api/v1/operate/requests", api_all, SEE, "Lawful requests.", gives=Requests),
    Route("POST", "/api/v1/operate/requests", api_enter, SEE,
          "Enter a lawful request; another operator has to approve it.", takes=RequestForm,
          gives=Request, status=201,
          errors=("account_not_found", "invalid_value", "invalid_time", "reason_missing",
                  "own_account")),
    Route("GET", "/api/v1/operate/requests/{request}", api_show, SEE, "A lawful request.",
          gives=Request, example=_EXAMPLE, errors=("request_not_found",)),
    Route("POST", "/api/v1/operate/requests/{request}/approve", api_approve, SEE,
          "Approve a request that somebody else entered.", proof=True, **_DECIDE),
    Route("POST", "/api/v1/operate/requests/{request}/refuse", api_refuse, SEE,
          "Refuse a request that somebody else entered.", **_DECIDE),
)
