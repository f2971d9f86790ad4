"""Passwords: a link by mail for who forgot theirs, and a new one in the settings.

Law: asking for a link answers the same whoever asks.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.registration import Accepted, TokenQuery
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.signed import BUSY, Secret, Token, again, entered, told
from relayd.console.visit import Visit
from relayd.control import password
from relayd.core.errors import RelayError


class Forgot(Secret, frozen=True):
    """The address that the link goes to."""

    email: str = ""


class Reset(Secret, frozen=True):
    """The token of the mailed link, and the new password."""

    token: str = ""
    password: str = ""


class NewPassword(Secret, frozen=True):
    """The new password."""

    password: str = ""


async def show_forgot(visit: Visit) -> web.Response:
    """The form."""
    return page(visit, "auth/forgot.html", error=None, fault=None)


async def forgot(visit: Visit) -> web.Response:
    """Mails a link, where there is such an account."""
    try:
        await password.forgot(
            visit.services.door, visit.take(Forgot).email, visit.caller, visit.now_ms)
    except RelayError as error:
        return again(visit, "auth/forgot.html", error)
    return redirect("/forgot/sent")


async def sent(visit: Visit) -> web.Response:
    """Look into the mailbox."""
    return page(visit, "auth/sent.html", about="forgot")


async def show_reset(visit: Visit) -> web.Response:
    """The page of the mailed link."""
    return page(visit, "auth/reset.html", token=visit.ask(TokenQuery).token, error=None,
                fault=None)


async def reset(visit: Visit) -> web.Response:
    """Sets the new password; every session has ended."""
    form = visit.take(Reset)
    try:
        await password.reset(
            visit.services.door, form.token, form.password, visit.caller, visit.now_ms)
    except RelayError as error:
        token = "" if error.code == "token_not_usable" else form.token
        return again(visit, "auth/reset.html", error, token=token)
    return redirect("/sign-in")


async def show(visit: Visit) -> web.Response:
    """The form of a new password."""
    return page(visit, "settings/password.html", error=None, fault=None)


async def change(visit: Visit) -> web.Response:
    """Sets it; every other session has ended."""
    try:
        opened = await password.change(
            visit.services.door, visit.me.session, visit.take(NewPassword).password,
            visit.caller, visit.now_ms)
    except RelayError as error:
        return again(visit, "settings/password.html", error)
    return entered(visit, opened, "/settings")


async def give_forgot(visit: Visit) -> web.Response:
    """The same for programs."""
    await password.forgot(
        visit.services.door, visit.take(Forgot).email, visit.caller, visit.now_ms)
    return reply(Accepted(), 202)


async def give_reset(visit: Visit) -> web.Response:
    """The same for programs."""
    order = visit.take(Reset)
    await password.reset(
        visit.services.door, order.token, order.password, visit.caller, visit.now_ms)
    return nothing()


async def give_changed(visit: Visit) -> web.Response:
    """The same for programs; the session goes on under a new token."""
    opened = await password.change(
        visit.services.door, visit.me.session, visit.take(NewPassword).password, visit.caller,
        visit.now_ms)
    return reply(told(opened))


ROUTES: Final = (
    Route("GET", "/forgot", show_forgot, PUBLIC, "The form for a forgotten password."),
    Route("POST", "/forgot", forgot, PUBLIC, "Mail a link for a new password.", takes=Forgot),
    Route("GET", "/forgot/sent", sent, PUBLIC, "A mail is on its way."),
    Route("GET", "/reset", show_reset, PUBLIC, "The mailed link.", asks=TokenQuery),
    Route("POST", "/reset", reset, PUBLIC, "Set a new password by it.", takes=Reset),
    Route("GET", "/settings/password", show, HOLDER, "The form of a new password.", proof=True),
    Route("POST", "/settings/password", change, HOLDER, "Set a new password.",
          takes=NewPassword, proof=True),
    Route("POST", "/api/v1/password/forgot", give_forgot, PUBLIC,
          "Mail a link for a new password, where there is such an account.", takes=Forgot,
          gives=Accepted, status=202, errors=BUSY),
    Route("POST", "/api/v1/password/reset", give_reset, PUBLIC,
          "Set a new password by the token of a mailed link.", takes=Reset, status=204,
          errors=(*BUSY, "token_not_usable", "weak_password")),
    Route("PUT", "/api/v1/password", give_changed, HOLDER,
          "Set a new password; other sessions end, this one goes on under a new token.",
          takes=NewPassword, gives=Token, proof=True, errors=(*BUSY, "weak_password")),
)
