"""The privacy centre: take one's data along, see who looked, and the ways to all else.

Law: whatever leaves here is the holder's own, after they have said who they are, and is in the
audit log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web

from relayd.console.export import attachment, streamed
from relayd.console.page import page, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import export, portable
from relayd.control.portable import DOCUMENTS, Span
from relayd.core.timestamp import rfc3339

FILE_NAME: Final = "relayd-export.zip"
ACCESS_MAX: Final = 1000


class Access(msgspec.Struct, frozen=True):
    """What was done with the account. `look`: somebody saw what is personal."""

    at: str
    action: str
    meaning: str
    by: str
    look: bool
    reason: str | None


class Accesses(msgspec.Struct, frozen=True):
    """The last of them, the newest first."""

    access: list[Access]


async def _accesses(visit: Visit) -> Accesses:
    rows = await portable.newest_looks(visit.db, visit.account, ACCESS_MAX)
    return Accesses([msgspec.convert(row, Access) for row in rows])


async def centre(visit: Visit) -> web.Response:
    """What a holder can do about their data."""
    return page(visit, "privacy/centre.html", closing=visit.me.account.state == "closing")


async def access(visit: Visit) -> web.Response:
    """Who looked at one's data, and who did what with the account."""
    return page(visit, "privacy/access.html", found=(await _accesses(visit)).access)


async def api_access(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _accesses(visit))


async def show_export(visit: Visit) -> web.Response:
    """What is in an export."""
    return page(visit, "privacy/export.html", documents=list(DOCUMENTS))


async def take(visit: Visit) -> web.StreamResponse:
    """The zip, as it is read from the store."""
    pieces = export.export(visit.db, visit.actor, visit.account, visit.now_ms)
    first = await anext(pieces)
    response = web.StreamResponse(headers=attachment(FILE_NAME))
    response.content_type = "application/zip"
    return await streamed(visit.request, response, _whole(first, pieces))


async def _whole(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


async def api_take(visit: Visit) -> web.StreamResponse:
    """The same documents as one JSON object."""
    pieces = _json(visit)
    first = await anext(pieces)
    response = web.StreamResponse()
    response.content_type = "application/json"
    return await streamed(visit.request, response, _whole(first, pieces))


async def _json(visit: Visit) -> AsyncIterator[bytes]:
    """As in the zip, a document that can be read no more ends there, and is named in `unread`."""
    unread: list[str] = []
    await export.note(visit.db, visit.actor, visit.account, visit.now_ms)
    yield orjson.dumps({"format": export.FORMAT, "account": visit.account,
                        "made_at": rfc3339(visit.now_ms)})[:-1]
    for name, source in DOCUMENTS.items():
        separator = b',"' + name.encode() + b'":['
        rows = source(visit.db, visit.account, Span(0, visit.now_ms + 1))
        async for row in portable.readable(rows, name, unread):
            yield separator + orjson.dumps(row)
            separator = b","
        yield b"]" if separator == b"," else separator + b"]"
    yield b',"unread":' + orjson.dumps(unread) + b"}"


ROUTES: Final = (
    Route("GET", "/privacy", centre, HOLDER, "The privacy centre", closing=True),
    Route("GET", "/privacy/access", access, HOLDER, "Who looked at one's data", closing=True),
    Route("GET", "/privacy/export", show_export, HOLDER, "Take one's data along", closing=True),
    Route("POST", "/privacy/export", take, HOLDER, "The zip", proof=True, closing=True),
    Route("GET", "/api/v1/privacy/access", api_access, HOLDER, "Who looked at one's data.",
          gives=Accesses, closing=True),
    Route("GET", "/api/v1/export", api_take, HOLDER,
          "Everything that is kept about the account, document by document.",
          gives=dict[str, Any], proof=True, closing=True),
)
