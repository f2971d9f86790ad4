"""The gate: makes a visit of a request, and lets nobody in whom the route does not want.

Law: what changes something comes from this console's own pages or from a program that sends its
session's token itself (RFC 6750); a cookie alone is not enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Final, get_type_hints
from urllib.parse import urlsplit

from aiohttp import web

from relayd.console import cookie, form, texts, upload
from relayd.console.route import Route
from relayd.console.services import Services
from relayd.console.visit import THEMES, Theme, Visit
from relayd.control import passkey, session, totp
from relayd.core.account import LANGUAGES, Language
from relayd.core.errors import RelayError
from relayd.core.network import Ip, Network, forwarded, network_of
from relayd.core.network import address_of as address_of_text
from relayd.ops.configfile_address import is_loopback

BEARER: Final = "bearer "
_SAFE: Final = frozenset({"GET", "HEAD"})
_OWN_SITE: Final = frozenset({"", "same-origin", "none"})
_SECRET: Final = frozenset({"password", "answer", "code"})
_WORDS: Final = (str, str | None)
MAILED: Final = "token"
"""The field that a mailed link fills in."""
_BROUGHT: Final = frozenset({"active", "suspended"})


async def visit(request: web.Request, route: Route, services: Services) -> Visit:
    """The request as its handler sees it. Raises RelayError for whoever must not come in."""
    made = anonymous(request, route, services)
    token = _token(made)
    if token:
        made.who = await session.recognise(services.db, token, made.now_ms)
    _judge_origin(made)
    _judge_access(made)
    if made.route.factors:
        await _judge_factors(made)
    await _take(made)
    return made


def anonymous(request: web.Request, route: Route, services: Services) -> Visit:
    """The visit before it is known who is there."""
    secure = is_secure(services)
    return Visit(
        request=request, route=route, services=services,
        language=_language(request, secure), theme=_theme(request, secure), secure=secure,
        address=address_of(request, services), now_ms=services.now_ms())


def is_secure(services: Services) -> bool:
    """Whether the browser speaks TLS to whoever is in front of this listener."""
    return services.config().console.url.startswith("https:")


def address_of(request: web.Request, services: Services) -> str:
    """The client's address: the peer's, or what a trusted proxy says of it."""
    peer = request.remote or ""
    trusted = _networks(services.config().server.trusted_proxies)

    def is_trusted(address: Ip) -> bool:
        return any(address in network for network in trusted)

    found = address_of_text(peer)
    if peer and (found is None or not is_trusted(found)):
        return peer
    # without an address it is who may open the unix socket: the proxy in front
    # some proxies add a line of their own behind the client's (RFC 9110 section 5.3)
    header = ",".join(request.headers.getall("X-Forwarded-For", ()))
    told, _ = forwarded(header.encode("latin-1", "replace") if header else None, is_trusted)
    return told or peer


@cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(network_of(text) for text in texts)


def _language(request: web.Request, secure: bool) -> Language:
    chosen = request.query.get("lang") or cookie.read(request, cookie.LANGUAGE, secure)
    for language in LANGUAGES:
        if chosen == language:
            return language
    return texts.preferred(request.headers.get("Accept-Language", ""))


def _theme(request: web.Request, secure: bool) -> Theme:
    chosen = cookie.read(request, cookie.THEME, secure)
    return next((theme for theme in THEMES if theme == chosen), "auto")


def _token(made: Visit) -> str:
    header = made.request.headers.get("Authorization", "")
    if made.route.is_api and header[:len(BEARER)].lower() == BEARER:
        made.bearer = True
        return header[len(BEARER):].strip()
    return cookie.read(made.request, cookie.SESSION, made.secure) or ""


def _judge_origin(made: Visit) -> None:
    """Refuses what another site makes a browser send (Fetch: Sec-Fetch-Site and Origin)."""
    if made.request.method in _SAFE or made.bearer or made.route.from_anywhere:
        return
    headers = made.request.headers
    if headers.get("Sec-Fetch-Site", "") not in _OWN_SITE:
        raise RelayError("foreign_origin")
    origin = headers.get("Origin")
    if origin is None and (made.route.is_api and made.who is None):
        return  # a program, before it has a session
    if origin is None or not _is_own(made, origin):
        raise RelayError("foreign_origin")


def _is_own(made: Visit, origin: str) -> bool:
    """Whether a page of this console sends it: of its host, and over TLS where it has that: in
    clear whoever is on the way can be the same host, but for this machine, where a tunnel ends."""
    try:
        parts = urlsplit(origin)
        clear = made.secure and parts.scheme != "https" and not is_loopback(parts.hostname or "")
    except ValueError:
        return False
    return bool(parts.netloc) and parts.netloc == made.request.host and not clear


def _judge_access(made: Visit) -> None:
    access = made.route.access
    if access.kind == "public":
        return
    who = made.who
    if who is None or who.session.stage != "open":
        raise RelayError("session_ended")
    if who.account.state not in _BROUGHT and not made.route.closing:
        raise RelayError("account_state")
    if access.kind == "operator":
        if who.account.state != "active":
            raise RelayError("account_state")
        if who.roles.isdisjoint(access.roles):
            raise RelayError("role_needed")
        if not who.session.two_factors:
            raise RelayError("factor_needed")
    if made.route.proof and not made.is_proved:
        raise RelayError("proof_needed")


async def _judge_factors(made: Visit) -> None:
    """Refuses an operator who has a second factor and came by a password or a link alone: with a
    factor of their own making they would be let in to what the other one keeps shut."""
    who = made.me
    if not who.roles or who.session.two_factors:
        return
    is_on, _ = await totp.standing(made.db, who.account.id)
    if is_on or await passkey.listing(made.db, who.account.id):
        raise RelayError("factor_needed")


async def _take(made: Visit) -> None:
    """Reads what the route takes and asks; a form of a session carries its token."""
    route, request = made.route, made.request
    if route.asks is not None:
        made.asked = form.from_form(route.asks, _query(request))
    if request.method in _SAFE:
        return
    if route.is_api:
        body = await _body(request, route)
        if route.takes is not None:
            made.taken = form.from_json(route.takes, body)
        elif body.strip() not in (b"", b"{}"):
            raise RelayError("invalid_form")
        return
    if route.from_anywhere:
        return

    def admit(token: str) -> None:
        if made.who is not None and not made.is_own_form(token):
            raise RelayError("form_stale")

    fields = await (_fields(request) if route.files is None
                    else upload.read(request, route, admit))
    admit(upload.token_of(fields))
    if route.takes is not None:
        made.taken = form.from_form(route.takes, fields)


async def typed(made: Visit) -> list[tuple[str, str]]:
    """What the form of a visit that was refused says, and who is there to send it once more.

    Nothing where nobody wrote a word, where it has a secret in it, which no page shows again, or
    files, which none can fill in. Names that are not the form's own are left out.
    """
    route, request = made.route, made.request
    hints = {} if route.takes is None else get_type_hints(route.takes)
    words = {name for name, hint in hints.items() if hint in _WORDS and name != MAILED}
    if request.method in _SAFE or route.is_api or route.files or _SECRET & hints.keys():
        return []
    if not words:
        return []
    made.who = await session.recognise(made.db, _token(made), made.now_ms)
    found = [(name, str(value)) for name, value in await _fields(request) if name in hints]
    return found if any(value and name in words for name, value in found) else []


def _query(request: web.Request) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.query.items() if name != "lang"]


async def _body(request: web.Request, route: Route) -> bytes:
    if route.files is not None:
        return await upload.body(request, route.files)
    return await form.body(request)


async def _fields(request: web.Request) -> Sequence[tuple[str, str | bytes]]:
    if request.content_type not in ("application/x-www-form-urlencoded",
                                    "application/octet-stream"):
        raise RelayError("invalid_form")
    # some encodings are slow to read, and some make what is no text
    if (request.charset or "utf-8").lower() != "utf-8":
        raise RelayError("invalid_form")
    try:
        async with asyncio.timeout(form.BODY_SECONDS):
            return [(name, str(value)) for name, value in (await request.post()).items()]
    except TimeoutError:
        raise RelayError("request_timeout") from None
    except (web.HTTPRequestEntityTooLarge, ValueError, LookupError):
        raise RelayError("invalid_form") from None
