"""Connecting: what to paste to point a client here, and the way from no key to the first call.

Law: a key's text is on a page when it has just been made, and never in a link or a cookie; the
snippets of every other page have a place for it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import HOLDER, Route
from relayd.console.snippet import KEY_SHOWN, Place, Snippet, filled, models_to_try, read
from relayd.console.visit import Visit
from relayd.control import call, key
from relayd.control.call import CallPage
from relayd.control.key import KeyWish
from relayd.core.call import CallSearch
from relayd.core.errors import RelayError
from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS
from relayd.ops.config import Config
from relayd.ops.configfile_address import parse_listen

FIRST_CLIENT: Final = "curl"
_ANY_HOST: Final = frozenset({"0.0.0.0", "::", ""})
_LOOKED_BACK_MS: Final = 24 * HOUR_MS
"""A first call is looked for among those of the last day."""


class ClientQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which client's snippet is shown."""

    client: str = FIRST_CLIENT


class StartForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key that is made on the way."""

    name: str = ""
    client: str = FIRST_CLIENT


class FirstCall(msgspec.Struct, frozen=True):
    """Whether a call of the account has been seen lately."""

    seen: bool


class Addresses(msgspec.Struct, frozen=True):
    """The base URLs that clients want: OpenAI's with /v1, the others without."""

    openai: str
    anthropic: str
    gemini: str


class Filled(NamedTuple):
    """A snippet with this relay's address in it."""

    snippet: Snippet
    text: str


def relay_origin(config: Config, bound: tuple[str, int]) -> str:
    """How clients reach the relay: as it is configured, or where it listens."""
    if config.console.relay_url:
        return config.console.relay_url
    listen = parse_listen(config.server.listen[0])
    host, port = (listen.host, listen.port) if listen.kind == "tcp" and listen.port else bound
    host = "localhost" if host in _ANY_HOST else f"[{host}]" if ":" in host else host
    secure = config.server.tls is not None or config.server.tls_terminated
    return f"{'https' if secure else 'http'}://{host}:{port}"


def _origin(visit: Visit) -> str:
    return relay_origin(visit.services.config(), visit.services.bound())


def _place(visit: Visit, text: str = KEY_SHOWN) -> Place:
    config = visit.services.config()
    return Place(_origin(visit), text, models_to_try(config.routes, config.providers))


def _chosen(client: str, place: Place) -> Filled:
    snippets = {each.id: each for each in read()}
    found = snippets.get(client, snippets[FIRST_CLIENT])
    return Filled(found, filled(found, place))


async def show(visit: Visit) -> web.Response:
    """The page of all clients."""
    place = _place(visit)
    return page(visit, "use/connect.html", origin=place.origin, clients=read(),
                chosen=_chosen(visit.ask(ClientQuery).client, place))


async def give(visit: Visit) -> web.Response:
    """The addresses, for programs."""
    origin = _origin(visit)
    return reply(Addresses(f"{origin}/v1", origin, origin))


async def _latest(visit: Visit) -> CallRecord | None:
    search = CallSearch(visit.account, visit.now_ms - _LOOKED_BACK_MS, visit.now_ms + HOUR_MS)
    found: CallPage = await call.page(visit.db, search, None, 1)
    return found.calls[0] if found.calls else None


async def _has_key(visit: Visit) -> bool:
    return await key.count_working(visit.db, visit.account, visit.now_ms) > 0


async def start(visit: Visit) -> web.Response:
    """Where one stands on the way: no key, a key and no call yet, or the first call."""
    latest = await _latest(visit)
    place = _place(visit)
    return page(visit, "use/start.html", clients=read(), latest=latest, text=None, error=None,
                chosen=_chosen(visit.ask(ClientQuery).client, place), name="",
                has_key=latest is not None or await _has_key(visit))


async def make(visit: Visit) -> web.Response:
    """Makes a key and shows it inside the snippet, which can be pasted as it is."""
    form = visit.take(StartForm)
    try:
        wish = KeyWish(form.name or visit.t("start.key_name"))
        issued = await key.create(visit.db, visit.account, wish, visit.now_ms, visit.actor)
    except RelayError as error:
        return page(visit, "use/start.html", error.status, clients=read(), latest=None, text=None,
                    error=error, chosen=_chosen(form.client, _place(visit)), name=form.name,
                    has_key=False)
    return page(visit, "use/start.html", clients=read(), latest=None, text=issued.text,
                error=None, chosen=_chosen(form.client, _place(visit, issued.text)), name="",
                has_key=True)


async def seen(visit: Visit) -> web.Response:
    """Whether the first call has come, for the script of the page."""
    return reply(FirstCall(await _latest(visit) is not None))


ROUTES: Final = (
    Route("GET", "/connect", show, HOLDER, "How to point clients here.", asks=ClientQuery),
    Route("GET", "/start", start, HOLDER, "From no key to the first call.", asks=ClientQuery),
    Route("POST", "/start", make, HOLDER, "Make the first key.", takes=StartForm),
    Route("GET", "/api/v1/connect", give, HOLDER, "The base URLs of the relay's APIs.",
          gives=Addresses),
    Route("GET", "/api/v1/first-call", seen, HOLDER,
          "Whether a call of the account was seen within a day.", gives=FirstCall),
)
