"""Figures for everybody: lawful requests, erasures, use in sums; and how long what is kept."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import retention, transparency
from relayd.core.anonymity import K


class ModelUse(msgspec.Struct, frozen=True):
    """Sums of one model, over at least ten accounts."""

    accounts: int
    calls: int
    tokens: int


class Use(msgspec.Struct, frozen=True):
    """Use of 30 days, by model; `suppressed` models had too few accounts to be shown."""

    since: str
    until: str
    accounts_at_least: int
    suppressed: int
    calls: int
    tokens: int
    models: dict[str, ModelUse]


class Transparency(msgspec.Struct, frozen=True):
    """Lawful requests by basis and state, erasures by cause, and use."""

    requests: dict[str, dict[str, int]]
    erasures: dict[str, int]
    use: Use


async def show(visit: Visit) -> web.Response:
    """The page."""
    found = await transparency.report(visit.db, visit.now_ms, visit.services.figures)
    schedule = await retention.schedule(visit.db, visit.services.config().retention.terms())
    return page(visit, "legal/transparency.html", found=found, schedule=schedule, k=K)


async def api_show(visit: Visit) -> web.Response:
    """The same for programs."""
    found = await transparency.report(visit.db, visit.now_ms, visit.services.figures)
    return reply(msgspec.convert(transparency.view(found), Transparency))


ROUTES: Final = (
    Route("GET", "/legal/transparency", show, PUBLIC, "Figures for everybody"),
    Route("GET", "/api/v1/transparency", api_show, PUBLIC, "Figures for everybody.",
          gives=Transparency),
)
