"""Language and theme: kept in cookies, so that they work before anybody signs in."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console import cookie
from relayd.console.page import redirect
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Theme, Visit
from relayd.core.account import Language


class Preferences(msgspec.Struct, forbid_unknown_fields=True):
    """What the small form at the top of every page sends."""

    language: Language | None = None
    theme: Theme | None = None
    next: str = "/"


def local(path: str) -> str:
    """The path if it leads to a page of this console, else the first page."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and path.isprintable() and path.isascii() else "/"


async def save(visit: Visit) -> web.StreamResponse:
    """Keeps what was chosen, and goes back to the page."""
    wish = visit.take(Preferences)
    response = redirect(local(wish.next))
    if wish.language:
        cookie.put(response, cookie.LANGUAGE, wish.language, visit.secure)
    if wish.theme:
        cookie.put(response, cookie.THEME, wish.theme, visit.secure)
    return response


ROUTES: Final = (
    Route("POST", "/preferences", save, PUBLIC, "Keep a language or a theme", takes=Preferences),
)
