"""What signing in answers with: a cookie and another page, or a token for a program.

Law: a token leaves in an answer to whoever has just proved who they are, and in no other.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from relayd.console import cookie
from relayd.console.answer import retry_later
from relayd.console.page import page, redirect
from relayd.console.preference import local
from relayd.console.visit import Visit
from relayd.control.session import Opened
from relayd.core.errors import RelayError
from relayd.core.session import Stage, ends_at_ms
from relayd.core.timestamp import rfc3339

FIRST_PAGE: Final = "/overview"
FIRST_STEPS: Final = "/start"
"""Where a new account begins: a key, what to paste, the first call."""
BUSY: Final = ("sign_in_slowed", "sign_in_busy")
"""Errors of whatever asks for a password."""


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Input that holds something secret or personal: nothing of it is in a repr."""

    def __repr__(self) -> str:
        return type(self).__name__


class Back(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where somebody came from, and goes to once they are signed in.

    `signed`: they have just signed in; if nobody is there now, the browser keeps no cookie.
    """

    next: str = FIRST_PAGE
    signed: bool = False


class Token(msgspec.Struct, frozen=True):
    """A session for a program. `stage` factor: a code of the authenticator is still to come."""

    token: str
    stage: Stage
    session: str
    ends_at: str

    def __repr__(self) -> str:
        return f"Token({self.session})"


def told(opened: Opened) -> Token:
    """The session as a program is told of it."""
    session = opened.session
    return Token(opened.token, session.stage, session.id, rfc3339(ends_at_ms(session)))


def entered(visit: Visit, opened: Opened, path: str) -> web.Response:
    """On to a page, with the session's new token in the cookie."""
    response = redirect(local(path))
    cookie.put(response, cookie.SESSION, opened.token, visit.secure)
    return response


def through(visit: Visit, opened: Opened, path: str) -> web.Response:
    """The same by way of the page to sign in, which sees whether the cookie came back."""
    return entered(visit, opened, f"/sign-in?next={quote(local(path))}&signed=1")


def again(visit: Visit, template: str, error: RelayError, **values: object) -> web.Response:
    """The page of a form once more, with what was wrong; whose session has ended meanwhile is led
    to the door, where the same form would be of no use."""
    if error.code == "session_ended":
        raise error
    response = page(visit, template, error.status, error=error, fault=error.param, **values)
    retry_later(response, error)
    return response
