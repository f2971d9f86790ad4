"""The system, for operators: versions, the store, the journal, what waits, what went wrong."""

from __future__ import annotations

import platform
from typing import Final

import msgspec
from aiohttp import web

from relayd import __version__
from relayd.console.operate_fleet import RUN
from relayd.console.page import page, reply
from relayd.console.route import Route
from relayd.console.visit import Visit
from relayd.core.timestamp import rfc3339


class System(msgspec.Struct, frozen=True):
    """The process at this moment. Counts are since it started; sizes are bytes by file."""

    version: str
    python: str
    ready: bool
    calls_in_flight: int
    client_connections: int
    loop_lag_ms: float
    store_bytes: dict[str, int]
    journal_bytes: int
    journal_segments: int
    journal_pending_records: int
    journal_sync_failures: int
    unflushed_records: int
    oldest_unflushed_seconds: float
    posted_records: int
    lost_records: int
    flush_failures: int
    overload_refusals: dict[str, int]
    certificates: dict[str, str]


BAD: Final = frozenset({"journal_sync_failures", "lost_records", "flush_failures"})
"""Counts that should be nothing."""


def system(visit: Visit) -> System:
    """The process as its gauges show it."""
    now = visit.services.gauges
    return System(
        version=__version__, python=platform.python_version(), ready=bool(now.ready()),
        calls_in_flight=int(now.calls_in_flight()),
        client_connections=int(now.client_connections()),
        loop_lag_ms=round(1000 * now.loop_lag_seconds(), 1),
        store_bytes={name: int(size) for name, size in now.store_bytes().items()},
        journal_bytes=int(now.journal_bytes()), journal_segments=int(now.journal_segments()),
        journal_pending_records=int(now.journal_pending_records()),
        journal_sync_failures=int(now.journal_sync_failures()),
        unflushed_records=int(now.unflushed_records()),
        oldest_unflushed_seconds=round(now.oldest_unflushed_seconds(), 1),
        posted_records=int(now.posted_records()), lost_records=int(now.lost_records()),
        flush_failures=int(now.flush_failures()),
        overload_refusals={name: int(count) for name, count in now.overload_refusals().items()},
        certificates={name: rfc3339(int(ends * 1000))
                      for name, ends in now.certificate_expiry().items()},
    )


async def show(visit: Visit) -> web.Response:
    """The page."""
    found = system(visit)
    counts = [(name, getattr(found, name)) for name in System.__struct_fields__
              if isinstance(getattr(found, name), int | float) and name != "ready"]
    return page(visit, "operate/system.html", system=found, counts=counts, bad=BAD)


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(system(visit))


ROUTES: Final = (
    Route("GET", "/operate/system", show, RUN, "How the relay's process does."),
    Route("GET", "/api/v1/operate/system", give, RUN, "How the relay's process does.",
          gives=System),
)
