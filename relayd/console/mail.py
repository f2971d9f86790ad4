"""Leaving mail: the page behind the link in every mail that needs consent (RFC 8058).

Law: no sign-in, no question why; asking with GET changes nothing, because programs follow links.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import mail
from relayd.core.actor import Actor

UNSUBSCRIBE: Final = "/unsubscribe"
_NOBODY: Final = Actor(None, frozenset(), "console")


class WhichMail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The link's token."""

    token: str = ""


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


ROUTES: Final = (
    Route("GET", UNSUBSCRIBE, ask, PUBLIC, "Stop mail of a kind", asks=WhichMail,
          errors=("token_not_usable",)),
    Route("POST", UNSUBSCRIBE, unsubscribe, PUBLIC, "Stop it", asks=WhichMail,
          from_anywhere=True, errors=("token_not_usable",)),
)
