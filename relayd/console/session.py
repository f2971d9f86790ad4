"""One's own sessions and latest sign-ins: look, end one, end all others."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import session, sign_in
from relayd.core.session import Stage

_EXAMPLE: Final = {"session": "sess_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}


class Session(msgspec.Struct, frozen=True):
    """A session as its owner sees it. `stage` factor: the password was given, and a second factor
    is still to come; it opens nothing, and tells that somebody has the password."""

    id: str
    device: str
    address: str | None
    method: str
    stage: Stage
    two_factors: bool
    created_at: str
    used_at: str
    ends_at: str
    current: bool

    def __repr__(self) -> str:
        return f"Session({self.id})"


class SignInSeen(msgspec.Struct, frozen=True):
    """An attempt to sign in, as its owner sees it."""

    at: str
    outcome: str
    method: str
    device: str
    address: str | None

    def __repr__(self) -> str:
        return f"SignInSeen({self.outcome})"


class Ended(msgspec.Struct, frozen=True):
    """How many sessions ended."""

    ended: int


async def _sessions(visit: Visit) -> list[Session]:
    found = await session.listing(visit.db, visit.account, visit.now_ms)
    return [msgspec.convert(session.view(each, visit.me.session.id), Session) for each in found]


async def _sign_ins(visit: Visit) -> list[SignInSeen]:
    found = await sign_in.latest(visit.db, visit.account)
    return [msgspec.convert(sign_in.view(each), SignInSeen) for each in found]


async def show(visit: Visit) -> web.Response:
    """Both lists."""
    return page(visit, "settings/sessions.html", sessions=await _sessions(visit),
                sign_ins=await _sign_ins(visit))


async def end(visit: Visit) -> web.Response:
    """Ends one; one's own is signing out."""
    await session.end(
        visit.db, visit.actor, visit.account, visit.name("session"), visit.now_ms)
    return redirect("/settings/sessions")


async def end_others(visit: Visit) -> web.Response:
    """Ends all but this one."""
    await session.end_all(
        visit.db, visit.actor, visit.account, visit.now_ms, visit.me.session.id)
    return redirect("/settings/sessions")


async def give_all(visit: Visit) -> web.Response:
    """The sessions."""
    return reply(await _sessions(visit))


async def give_ended(visit: Visit) -> web.Response:
    """One is ended."""
    await session.end(
        visit.db, visit.actor, visit.account, visit.name("session"), visit.now_ms)
    return nothing()


async def give_others_ended(visit: Visit) -> web.Response:
    """All but this one are ended."""
    return reply(Ended(await session.end_all(
        visit.db, visit.actor, visit.account, visit.now_ms, visit.me.session.id)))


async def give_sign_ins(visit: Visit) -> web.Response:
    """The latest attempts."""
    return reply(await _sign_ins(visit))


ROUTES: Final = (
    Route("GET", "/settings/sessions", show, HOLDER, "One's own sessions and sign-ins."),
    Route("POST", "/settings/sessions/{session}/end", end, HOLDER, "End a session.",
          example=_EXAMPLE),
    Route("POST", "/settings/sessions/end-others", end_others, HOLDER, "End all others."),
    Route("GET", "/api/v1/sessions", give_all, HOLDER, "One's own sessions.",
          gives=list[Session]),
    Route("DELETE", "/api/v1/sessions/{session}", give_ended, HOLDER, "End a session.",
          status=204, errors=("session_not_found",), example=_EXAMPLE),
    Route("POST", "/api/v1/sessions/end-others", give_others_ended, HOLDER,
          "End all sessions but this one.", gives=Ended),
    Route("GET", "/api/v1/sign-ins", give_sign_ins, HOLDER,
          "The latest attempts to sign in, right and wrong.", gives=list[SignInSeen]),
)
