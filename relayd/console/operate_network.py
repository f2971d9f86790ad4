"""Network records, for operators of the role `security`: one account's, with a reason.

Law: whom they look at and why travel in a form, never in a link; nothing is shown before the look
is in the audit log, where the account's holder sees it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.control import network
from relayd.core.errors import RelayError

SEE: Final = operators("security")
RECORDS_MAX: Final = 1000
_ERRORS: Final = ("account_not_found", "reason_missing", "invalid_value")


class NetworkLook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose records: an account's id or whole e-mail address; and why."""

    who: str
    reason: str

    def __repr__(self) -> str:
        return "NetworkLook"


class NetworkShown(msgspec.Struct, frozen=True):
    """From where and with what a key was used."""

    at: str
    key: str
    address: str | None
    port: int | None
    tls: str
    client: str


class Records(msgspec.Struct, frozen=True):
    """An account's records, the newest first; `more`: there are older ones."""

    records: list[NetworkShown]
    more: bool


async def _records(visit: Visit) -> Records:
    asked = visit.take(NetworkLook)
    found = await network.look(
        visit.db, visit.actor, asked.who, asked.reason, visit.now_ms, most=RECORDS_MAX + 1)
    shown = [msgspec.convert(network.view(each), NetworkShown) for each in found[:RECORDS_MAX]]
    return Records(shown, len(found) > RECORDS_MAX)


async def show(visit: Visit) -> web.Response:
    """The form."""
    return page(visit, "operate/network.html", found=None, error=None, fault=None)


async def look(visit: Visit) -> web.Response:
    """The records, or the form again."""
    try:
        found = await _records(visit)
    except RelayError as error:
        return page(visit, "operate/network.html", error.status, found=None, error=error,
                    fault=error.param)
    return page(visit, "operate/network.html", found=found, error=None, fault=None)


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _records(visit))


ROUTES: Final = (
    Route("GET", "/operate/network", show, SEE, "Look at network records.", proof=True),
    Route("POST", "/operate/network", look, SEE, "An account's network records.",
          takes=NetworkLook, proof=True),
    Route("POST", "/api/v1/operate/network", give, SEE,
          "An account's network records, the newest first; its holder sees who looked and why.",
          takes=NetworkLook, gives=Records, proof=True, errors=_ERRORS),
)
