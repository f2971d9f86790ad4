"""Cookies: the only ones that the console sets, what for and for how long.

Law: whatever is set comes from this table, and the cookie page is made of it. None is for
analytics; the relay's own listener neither sets nor reads any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Cookie:
    """One row. `days` 0: until the browser is closed. `secret`: no script may read it."""

    name: str
    kind: Literal["session", "preference"]
    purpose: str
    days: int
    secret: bool = False


SESSION: Final = Cookie("rd_sid", "session", "cookies.session", 30, secret=True)
REGISTERED: Final = Cookie("rd_new", "session", "cookies.registered", 0, secret=True)
LANGUAGE: Final = Cookie("rd_lang", "preference", "cookies.language", 365)
THEME: Final = Cookie("rd_theme", "preference", "cookies.theme", 365)
COOKIES: Final = (SESSION, REGISTERED, LANGUAGE, THEME)


def name_of(cookie: Cookie, secure: bool) -> str:
    """Its name on the wire. Over TLS the session's has the prefix that binds it to this host."""
    return f"__Host-{cookie.name}" if secure and cookie.kind == "session" else cookie.name


def read(request: web.Request, cookie: Cookie, secure: bool) -> str | None:
    """Its value, if the browser sent one."""
    return request.cookies.get(name_of(cookie, secure))


def put(response: web.StreamResponse, cookie: Cookie, value: str, secure: bool) -> None:
    """Sets it (RFC 6265): for this host alone, not sent along from other sites."""
    response.set_cookie(
        name_of(cookie, secure), value, max_age=cookie.days * DAY_SECONDS or None, path="/",
        secure=secure, httponly=cookie.secret, samesite="Lax")


def drop(response: web.StreamResponse, cookie: Cookie, secure: bool) -> None:
    """Takes it from the browser."""
    response.del_cookie(name_of(cookie, secure), path="/", secure=secure, httponly=cookie.secret,
                        samesite="Lax")
