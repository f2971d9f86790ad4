"""Retention, for operators: how long what is kept, why, and what the sweeps did."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.control import retention

SEE: Final = operators("owner", "legal", "security", "support", "finance")


class LastSweep(msgspec.Struct, frozen=True):
    """When a category was last looked through, and what went then and in all."""

    at: str
    rows: int
    all_rows: int


class Kept(msgspec.Struct, frozen=True):
    """A category: its term and floor in `unit`, from what `since` names; then `action`."""

    category: str
    term: int
    unit: str
    floor: int
    since: str
    action: str
    meaning: str
    basis: str
    option: str | None
    last_sweep: LastSweep | None


class Schedule(msgspec.Struct, frozen=True):
    """The whole table, as it is in force."""

    categories: list[Kept]


async def _schedule(visit: Visit) -> Schedule:
    terms = visit.services.config().retention.terms()
    found = await retention.schedule(visit.db, terms)
    return Schedule([msgspec.convert(each, Kept) for each in found])


async def show(visit: Visit) -> web.Response:
    """The table."""
    return page(visit, "operate/retention.html", found=(await _schedule(visit)).categories)


async def api_show(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _schedule(visit))


ROUTES: Final = (
    Route("GET", "/operate/retention", show, SEE, "Retention"),
    Route("GET", "/api/v1/operate/retention", api_show, SEE,
          "How long each kind of data stays, and the last sweep.", gives=Schedule),
)
