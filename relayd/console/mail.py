"""Leaving mail: the page behind the link in every mail that needs consent (RFC 8058). And for
operators what was not sent.

Law: to leave takes no sign-in and no reason; asking with GET changes nothing, because programs
follow links. An operator's page says of a mail what kind it is and why it was not sent, never to
whom or what.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.route import PUBLIC, Route, operators
from relayd.console.visit import Visit
from relayd.control import mail
from relayd.core.actor import Actor
from relayd.core.timestamp import rfc3339
from relayd.store.mail import Mail

UNSUBSCRIBE: Final = "/unsubscribe"
POSTMASTERS: Final = operators("owner", "support")
_EXAMPLE: Final = {"mail": "mail_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}
_NOBODY: Final = Actor(None, frozenset(), "console")


class WhichMail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The link's token."""

    token: str = ""


class MailShown(msgspec.Struct, frozen=True):
    """A mail that was not sent. `outcome`: what the last attempt came to."""

    id: str
    account: str | None
    kind: str
    state: str
    outcome: str | None
    attempts: int
    queued_at: str
    next_at: str | None


async def ask(visit: Visit) -> web.Response:
    """Says what the link would stop, with a button."""
    token = visit.ask(WhichMail).token
    _, mail_class = mail.read_token(visit.db, token)
    return page(visit, "legal/unsubscribe.html", token=token, mail_class=mail_class, done=False)


async def unsubscribe(visit: Visit) -> web.Response:
    """Stops it, from the page's button or from a mail program's one click."""
    token = visit.ask(WhichMail).token
    mail_class = await mail.unsubscribe(visit.db, _NOBODY, token, visit.now_ms)
    return page(visit, "legal/unsubscribe.html", token=token, mail_class=mail_class, done=True)


async def show_waiting(visit: Visit) -> web.Response:
    """Mails that were not sent."""
    return page(visit, "operate/mail.html", mails=await mail.listing(visit.db, waiting=True),
                has_server=bool(visit.services.config().mail.host))


async def retry(visit: Visit) -> web.Response:
    """Lets one be tried again now."""
    await mail.retry(visit.db, visit.name("mail"), visit.now_ms)
    return redirect("/operate/mail")


async def api_waiting(visit: Visit) -> web.Response:
    """Mails that were not sent."""
    return reply([_shown(each) for each in await mail.listing(visit.db, waiting=True)])


async def api_retry(visit: Visit) -> web.Response:
    """Lets one be tried again now."""
    await mail.retry(visit.db, visit.name("mail"), visit.now_ms)
    return nothing()


def _shown(found: Mail) -> MailShown:
    return MailShown(
        found.id, found.account_id, found.kind, found.state, found.outcome, found.attempts,
        rfc3339(found.queued_at_ms),
        rfc3339(found.next_at_ms) if found.state == "queued" else None)


ROUTES: Final = (
    Route("GET", "/operate/mail", show_waiting, POSTMASTERS, "Mail that was not sent"),
    Route("POST", "/operate/mail/{mail}/retry", retry, POSTMASTERS, "Try a mail again",
          example=_EXAMPLE, errors=("mail_not_found", "mail_state")),
    Route("GET", "/api/v1/mails", api_waiting, POSTMASTERS, "Mail that was not sent",
          gives=list[MailShown]),
    Route("POST", "/api/v1/mails/{mail}/retry", api_retry, POSTMASTERS, "Try a mail again",
          status=204, example=_EXAMPLE, errors=("mail_not_found", "mail_state")),
    Route("GET", UNSUBSCRIBE, ask, PUBLIC, "Stop mail of a kind", asks=WhichMail,
          errors=("token_not_usable",)),
    Route("POST", UNSUBSCRIBE, unsubscribe, PUBLIC, "Stop it", asks=WhichMail,
          from_anywhere=True, errors=("token_not_usable",)),
)
