"""Providers and routes as they stand now, for operators; read of the running relay."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.core.fleet import Fleet

RUN: Final = operators("owner", "support", "security")
"""Who may see how the relay itself does."""


async def show(visit: Visit) -> web.Response:
    """The page."""
    return page(visit, "operate/fleet.html", fleet=visit.services.relay())


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(visit.services.relay())


ROUTES: Final = (
    Route("GET", "/operate/providers", show, RUN, "How providers and routes stand."),
    Route("GET", "/api/v1/operate/providers", give, RUN,
          "How providers and routes stand in the running relay.", gives=Fleet),
)
