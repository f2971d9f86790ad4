"""The audit log, for operators: who did what, the newest first.

Law: reasons are not in the list, because they may name somebody: `relayd audit list` has them.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.control import audit

LOGS: Final = operators("security", "legal", "owner")
PAGE_EVENTS: Final = 100


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events about one account, or all; `before` is where an older page begins."""

    account: str | None = None
    before: int | None = None


class Event(msgspec.Struct, frozen=True):
    """An event, without its reason. `hash` is over it and over the hash before it."""

    seq: int
    at: str
    actor: str | None
    roles: list[str]
    via: str
    action: str
    target: str | None
    has_reason: bool
    details: dict[str, str | int | bool | None]
    hash: str


class Events(msgspec.Struct, frozen=True):
    """A page of events; `next` is what `before` takes for the following one."""

    events: list[Event]
    next: int | None


async def _page(visit: Visit) -> Events:
    asked = visit.ask(LogQuery)
    before = None if asked.before is None else min(max(asked.before, 0), 1 << 62)
    found = await audit.latest(visit.db, before, asked.account, PAGE_EVENTS + 1)
    events = [_event(entry) for entry in found[:PAGE_EVENTS]]
    return Events(events, events[-1].seq if len(found) > PAGE_EVENTS else None)


def _event(entry: audit.Entry) -> Event:
    shown = {**audit.view(entry), "has_reason": entry.event.reason is not None}
    del shown["reason"]
    return msgspec.convert(shown, Event)


async def show(visit: Visit) -> web.Response:
    """The page."""
    asked, found = visit.ask(LogQuery), await _page(visit)
    kept = {} if asked.account is None else {"account": asked.account}
    older = found.next and f"/operate/audit?{urlencode({**kept, 'before': found.next})}"
    newest = f"/operate/audit?{urlencode(kept)}" if asked.before is not None else None
    return page(visit, "operate/audit.html", asked=asked, events=found.events, older=older,
                newest=newest)


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _page(visit))


ROUTES: Final = (
    Route("GET", "/operate/audit", show, LOGS, "The audit log.", asks=LogQuery),
    Route("GET", "/api/v1/operate/audit", give, LOGS, "The audit log, the newest event first.",
          asks=LogQuery, gives=Events),
)
