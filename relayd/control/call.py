"""Calls as their owner looks for them: pages, newest first, and figures of how they went.

Law: a page is as large as asked for, or as what HOURS_MAX of its hours and PAGE_SECONDS give; what
is left out is behind `next`. Nothing here knows any content: there is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final, NamedTuple

from relayd.core.call import Brief, CallSearch, Figures, Place, figures
from relayd.core.errors import RelayError
from relayd.core.record import CallRecord
from relayd.ops.clock import monotonic
from relayd.store import call as store_call
from relayd.store.db import Database

PAGE_CALLS: Final = 50
PAGE_CALLS_MAX: Final = 500
EXPORT_CALLS: Final = 200
"""Calls that are read, and then written, at once: the event loop goes on in between."""
HOURS_MAX: Final = 48
"""Hours that are read for one page; an hour is read whole, with everybody's calls in it."""
PAGE_SECONDS: Final = 2.0
"""After so long a page ends with the hour that was read: a busy relay's hours are large."""
FIGURES_CALLS_MAX: Final = 2000
FIGURES_HOURS_MAX: Final = 24 * 90
FIGURES_SECONDS: Final = 0.3
"""How long figures may take: what was not read by then is not in them."""
_FIRST_ID: Final = "0" * 26


class CallPage(NamedTuple):
    """Calls, newest first; `next` is where to go on, None at the end."""

    calls: list[CallRecord]
    next: Place | None


def _until(search: CallSearch, before: Place | None) -> CallSearch:
    if before is None:
        return search
    # nothing of an hour comes before the first id there can be: it is not read again
    until_ms = before.started_at_ms + (before.id > _FIRST_ID)
    return replace(search, until_ms=min(search.until_ms, until_ms))


async def page(
    db: Database, search: CallSearch, before: Place | None = None, most: int = PAGE_CALLS
) -> CallPage:
    """The wanted calls from before a place on; each hour is a transaction of its own."""
    began = monotonic()
    async with db.reading() as transaction:
        hours = await store_call.hours(transaction, _until(search, before), HOURS_MAX + 1)
    found: list[CallRecord] = []
    for n, hour_ms in enumerate(hours, 1):
        async with db.reading() as transaction:
            found += await store_call.latest(
                transaction, search, hour_ms, before, most + 1 - len(found))
        if len(found) > most:
            last = found[most - 1]
            return CallPage(found[:most], Place(last.started_at_ms, last.id))
        if n < len(hours) and (n == HOURS_MAX or monotonic() - began > PAGE_SECONDS):
            return CallPage(found, Place(hour_ms, _FIRST_ID))
    return CallPage(found, None)


async def pages(db: Database, search: CallSearch) -> AsyncIterator[list[CallRecord]]:
    """All wanted calls, newest first, page by page; for export."""
    before: Place | None = None
    while True:
        found = await page(db, search, before, EXPORT_CALLS)
        yield found.calls
        before = found.next
        if before is None:
            return


async def get(db: Database, account: str, place: Place) -> CallRecord:
    """The account's call at this place; raises RelayError `call_not_found`."""
    async with db.reading() as transaction:
        found = await store_call.one(transaction, account, place)
    if found is None:
        raise RelayError("call_not_found", param="call")
    return found


async def how_they_went(db: Database, search: CallSearch) -> Figures:
    """The figures of the latest wanted calls, FIGURES_CALLS_MAX of them at most."""
    began = monotonic()
    async with db.reading() as transaction:
        hours = await store_call.hours(transaction, search, FIGURES_HOURS_MAX)
    found: list[Brief] = []
    for hour_ms in hours:
        if len(found) >= FIGURES_CALLS_MAX or monotonic() - began > FIGURES_SECONDS:
            break
        async with db.reading() as transaction:
            found += await store_call.briefs(
                transaction, search, hour_ms, FIGURES_CALLS_MAX - len(found))
    return figures(found)


async def last_used(db: Database, account: str) -> dict[str, int]:
    """The start of the last hour in which each key was used, by key id."""
    async with db.reading() as transaction:
        return await store_call.last_used(transaction, account)
