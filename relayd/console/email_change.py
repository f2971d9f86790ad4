"""Changing the e-mail address: ask, and the two mailed links.

Law: the link to the new address is followed by whoever is signed in to the account, and by nobody
else; the one to the old address by whoever reads it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.registration import Accepted, MailedToken, TokenQuery
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.signed import BUSY, Secret, again
from relayd.console.visit import Visit
from relayd.control import email_change
from relayd.control.email_change import End
from relayd.core.errors import RelayError


class NewEmail(Secret, frozen=True):
    """The new address."""

    email: str = ""


class Confirmed(msgspec.Struct, frozen=True):
    """Whether the address is changed now, or the other mailbox is still to say yes."""

    changed: bool


def _end(visit: Visit) -> End:
    return "new" if visit.route.path.endswith("/new") else "old"


async def _confirm(visit: Visit) -> bool:
    signed_in = None if visit.who is None else visit.account
    return await email_change.confirm(
        visit.services.door, visit.take(MailedToken).token, _end(visit),
        (visit.caller, signed_in), visit.now_ms)


async def show(visit: Visit) -> web.Response:
    """The form."""
    return page(visit, "settings/email.html", error=None, fault=None, email="")


async def ask(visit: Visit) -> web.Response:
    """Mails both addresses a link."""
    form = visit.take(NewEmail)
    try:
        await _ask(visit, form.email)
    except RelayError as error:
        return again(visit, "settings/email.html", error, email=form.email)
    return redirect("/settings/email/sent")


async def _ask(visit: Visit, email: str) -> None:
    await email_change.ask(
        visit.services.door, visit.me.account, email, visit.caller, visit.now_ms)


async def sent(visit: Visit) -> web.Response:
    """Look into both mailboxes."""
    return page(visit, "auth/sent.html", about="email")


async def show_confirm(visit: Visit) -> web.Response:
    """The page of one of the links."""
    end = _end(visit)
    return page(visit, "auth/token.html", about=f"email_{end}", path=f"/email/{end}", error=None,
                token=visit.ask(TokenQuery).token)


async def confirm(visit: Visit) -> web.Response:
    """One mailbox says yes."""
    end = _end(visit)
    try:
        changed = await _confirm(visit)
    except RelayError as error:
        return again(visit, "auth/token.html", error, about=f"email_{end}",
                     path=f"/email/{end}", token="")
    return page(visit, "auth/sent.html", about="email_changed" if changed else "email_half")


async def give_asked(visit: Visit) -> web.Response:
    """The same for programs."""
    await _ask(visit, visit.take(NewEmail).email)
    return reply(Accepted(), 202)


async def give_confirmed(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(Confirmed(await _confirm(visit)))


ROUTES: Final = (
    Route("GET", "/settings/email", show, HOLDER, "The form of a new address.", proof=True),
    Route("POST", "/settings/email", ask, HOLDER, "Ask for a new address.", takes=NewEmail,
          proof=True),
    Route("GET", "/settings/email/sent", sent, HOLDER, "Two mails are on their way."),
    Route("GET", "/email/old", show_confirm, PUBLIC, "A mailed link.", asks=TokenQuery),
    Route("POST", "/email/old", confirm, PUBLIC, "Say yes to another address.",
          takes=MailedToken),
    Route("GET", "/email/new", show_confirm, HOLDER, "A mailed link.", asks=TokenQuery),
    Route("POST", "/email/new", confirm, HOLDER, "Say yes at the new address.",
          takes=MailedToken),
    Route("POST", "/api/v1/email", give_asked, HOLDER,
          "Ask for a new address; both mailboxes get a link.", takes=NewEmail, gives=Accepted,
          status=202, proof=True, errors=(*BUSY, "invalid_email")),
    Route("POST", "/api/v1/email/old", give_confirmed, PUBLIC,
          "Say yes by the token of the mail to the old address.",
          takes=MailedToken, gives=Confirmed, errors=("token_not_usable",)),
    Route("POST", "/api/v1/email/new", give_confirmed, HOLDER,
          "Say yes by the token of the mail to the new address, signed in to the account.",
          takes=MailedToken, gives=Confirmed, errors=("token_not_usable",)),
)
