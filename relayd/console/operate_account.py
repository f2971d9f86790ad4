"""Accounts, for operators: find one, see how it stands, suspend, resume, terminate, reveal.

Law: an address is masked until the operator has said why they look; an address that is searched
for travels in a form, never in a link; whatever changes something takes a reason and is in the
audit log.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import Access, Route, operators
from relayd.console.series import Used, used
from relayd.console.visit import Visit
from relayd.control import abuse, account, conflict, key, limit, role, series, standing
from relayd.control.standing import Grounds, Move
from relayd.core.account import Account, AccountState
from relayd.core.errors import RelayError
from relayd.core.series import lines, period
from relayd.core.standing import REASONS, WORDS, Reason
from relayd.core.timestamp import rfc3339

SEE: Final = operators("support", "security", "legal")
"""Who may look for accounts and see how they stand."""
MOVE: Final = operators("support", "security")
END: Final = operators("security", "legal")
STEPS: Final[dict[AccountState, tuple[Move, ...]]] = {
    "active": ("suspend", "terminate"), "suspended": ("resume", "terminate"),
    "closing": ("terminate",)}
"""What can be done with an account in a state."""
FINDINGS_MAX: Final = 20
_EXAMPLE: Final = {"account": "acct_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom an operator looks for: an account's id, or a whole e-mail address."""

    who: str

    def __repr__(self) -> str:
        return "Search"


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: a reason that the holder is told, and words for the audit log."""

    reason: Reason
    words: str

    def __repr__(self) -> str:
        return f"Judgement({self.reason})"


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words for the audit log, which the holder may read."""

    reason: str

    def __repr__(self) -> str:
        return "Look"


class AccountShown(msgspec.Struct, frozen=True):
    """An account as operators see it; `email` is masked unless it was revealed to this one."""

    id: str
    email: str | None
    state: AccountState
    since: str
    reason: str | None
    created_at: str
    language: str
    keys: int
    limits: dict[str, int]
    used: list[Used]


class Revealed(msgspec.Struct, frozen=True):
    """Until when the operator sees the account's personal data."""

    until: str


async def _shown(visit: Visit, found: Account) -> AccountShown:
    async with visit.db.reading() as transaction:
        email = await role.shown_email(transaction, visit.actor, found, visit.now_ms)
    _, limits = await limit.show(visit.db, "account", found.id)
    points = await series.points(visit.db, found.id, period("30d", visit.now_ms))
    return AccountShown(
        id=found.id, email=email, state=found.state,
        since=rfc3339(found.state_since_ms or found.created_at_ms), reason=found.reason,
        created_at=rfc3339(found.created_at_ms), language=found.language,
        keys=await key.count_working(visit.db, found.id, visit.now_ms),
        limits=limits, used=[used(line) for line in lines(points)])


async def _named(visit: Visit) -> Account:
    """The account of the path: by its id alone."""
    who = visit.name("account")
    if "@" in who:
        raise RelayError("account_not_found", param="account")
    return await account.find(visit.db, who)


async def _moved(visit: Visit, step: Move) -> Account:
    found = await _named(visit)
    if step == "resume":
        grounds = Grounds("other", visit.services.door.origin, None)
    else:
        judged = visit.take(Judgement)
        if not judged.words.strip():
            raise RelayError("reason_missing", param="words")
        grounds = Grounds(judged.reason, visit.services.door.origin, judged.words)
    return await standing.move(visit.db, visit.actor, found.id, step, grounds, visit.now_ms)


async def _reveal(visit: Visit) -> int:
    found = await _named(visit)
    link = visit.services.door.link("/privacy/access")
    return await role.reveal(visit.db, visit.actor, found.id, visit.take(Look).reason,
                             visit.now_ms, link)


# pages


async def show_search(visit: Visit) -> web.Response:
    """The form."""
    return page(visit, "operate/accounts.html", error=None,
                counts=await account.counts(visit.db))


async def search(visit: Visit) -> web.Response:
    """On to the account, or the form again."""
    try:
        found = await account.find(visit.db, visit.take(Search).who)
    except RelayError as error:
        return page(visit, "operate/accounts.html", error.status, error=error,
                    counts=await account.counts(visit.db))
    return redirect(f"/operate/accounts/{found.id}")


async def show_one(visit: Visit) -> web.Response:
    """The account."""
    return await _page_of(visit, await _named(visit))


async def _page_of(
    visit: Visit, found: Account, error: RelayError | None = None
) -> web.Response:
    roles = visit.me.roles
    async with visit.db.reading() as transaction:
        barred = await conflict.of(transaction, visit.actor, found.id)
    steps = [step for step in STEPS.get(found.state, ())
             if barred is None and roles & _access(step).roles]
    shown = await _shown(visit, found)
    findings = await abuse.listing(visit.db, who=found.id)
    limits = [(name, value) for name, value in limit.view(shown.limits).items()
              if value is not None]
    return page(
        visit, "operate/account.html", 200 if error is None else error.status,
        account=shown, limits=limits, findings=findings[:FINDINGS_MAX],
        steps=steps, error=error, fault=error and error.param,
        may_reveal=bool(roles & set(role.LOOKERS)),
        reasons=[(reason, WORDS[reason][visit.language]) for reason in REASONS],
        barred=barred and visit.said(RelayError(barred)))


def _access(step: Move) -> Access:
    return END if step == "terminate" else MOVE


async def _do(visit: Visit, step: Move) -> web.Response:
    found = await _named(visit)
    try:
        await _moved(visit, step)
    except RelayError as error:
        return await _page_of(visit, found, error)
    return redirect(f"/operate/accounts/{found.id}")


async def suspend(visit: Visit) -> web.Response:
    """Suspends."""
    return await _do(visit, "suspend")


async def resume(visit: Visit) -> web.Response:
    """Resumes."""
    return await _do(visit, "resume")


async def terminate(visit: Visit) -> web.Response:
    """Terminates."""
    return await _do(visit, "terminate")


async def reveal(visit: Visit) -> web.Response:
    """Shows the address for a while."""
    found = await _named(visit)
    try:
        await _reveal(visit)
    except RelayError as error:
        return await _page_of(visit, found, error)
    return redirect(f"/operate/accounts/{found.id}")


# the same for programs


async def give_found(visit: Visit) -> web.Response:
    """The account that was looked for."""
    return reply(await _shown(visit, await account.find(visit.db, visit.take(Search).who)))


async def give_one(visit: Visit) -> web.Response:
    """The account."""
    return reply(await _shown(visit, await _named(visit)))


async def give_suspended(visit: Visit) -> web.Response:
    """The account, suspended."""
    return reply(await _shown(visit, await _moved(visit, "suspend")))


async def give_resumed(visit: Visit) -> web.Response:
    """The account, resumed."""
    return reply(await _shown(visit, await _moved(visit, "resume")))


async def give_terminated(visit: Visit) -> web.Response:
    """The account, terminated."""
    return reply(await _shown(visit, await _moved(visit, "terminate")))


async def give_revealed(visit: Visit) -> web.Response:
    """Until when."""
    return reply(Revealed(rfc3339(await _reveal(visit))))


_PAGE: Final = "/operate/accounts/{account}"
_API: Final = "/api/v1/operate/accounts"
_ONE: Final = f"{_API}/{{account}}"
_LOST: Final = "account_not_found"
_JUDGED: Final = (_LOST, "account_state", "reason_missing", "invalid_value")
_MOVED: Final = (*_JUDGED, "own_account", "operator_account")
ROUTES: Final = (
    Route("GET", "/operate/accounts", show_search, SEE, "Look for an account."),
    Route("POST", "/operate/accounts", search, SEE, "Find an account.", takes=Search),
    Route("GET", _PAGE, show_one, SEE, "An account.", example=_EXAMPLE),
    Route("POST", f"{_PAGE}/suspend", suspend, MOVE, "Suspend it.", takes=Judgement,
          example=_EXAMPLE),
    Route("POST", f"{_PAGE}/resume", resume, MOVE, "Resume it.", example=_EXAMPLE),
    Route("POST", f"{_PAGE}/terminate", terminate, END, "Terminate it.", takes=Judgement,
          proof=True, example=_EXAMPLE),
    Route("POST", f"{_PAGE}/reveal", reveal, SEE, "See its address.", takes=Look,
          proof=True, example=_EXAMPLE),
    Route("POST", f"{_API}/find", give_found, SEE,
          "An account by its id or its whole e-mail address.", takes=Search, gives=AccountShown,
          errors=(_LOST,)),
    Route("GET", _ONE, give_one, SEE, "An account.", gives=AccountShown, errors=(_LOST,),
          example=_EXAMPLE),
    Route("POST", f"{_ONE}/suspend", give_suspended, MOVE, "Suspend an account.",
          takes=Judgement, gives=AccountShown, errors=_MOVED, example=_EXAMPLE),
    Route("POST", f"{_ONE}/resume", give_resumed, MOVE, "Resume a suspended account.",
          gives=AccountShown, errors=_MOVED, example=_EXAMPLE),
    Route("POST", f"{_ONE}/terminate", give_terminated, END, "Terminate an account, for good.",
          takes=Judgement, gives=AccountShown, proof=True, errors=_MOVED, example=_EXAMPLE),
    Route("POST", f"{_ONE}/reveal", give_revealed, SEE,
          "See an account's personal data for 15 minutes; its holder is told.",
          takes=Look, gives=Revealed, proof=True, errors=_JUDGED, example=_EXAMPLE),
)
