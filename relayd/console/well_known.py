"""/.well-known/relay-audit.json: the last canary report, signed, for everybody."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.core.errors import RelayError
from relayd.store import canary

PATH: Final = "/.well-known/relay-audit.json"


async def _report(visit: Visit) -> web.StreamResponse:
    document = canary.read(visit.services.db.directory)
    if document is None:
        raise RelayError("not_found")
    return web.Response(body=document, content_type="application/json",
                        headers={"Access-Control-Allow-Origin": "*"})


ROUTES: Final = (
    Route("GET", PATH, _report, PUBLIC, "The last canary report, signed"),
)
