"""Transparency: how many lawful requests there were, and sums of use in which nobody is seen.

Law: figures of requests equal the rows; a figure of use is shown only where it stands for ten
accounts or more, and whoever objects to taking part is in none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from relayd.core.anonymity import K, Cell, Published, publishable
from relayd.core.lawful import BASES, STATES
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.store import consent as store_consent
from relayd.store import document as store_document
from relayd.store import lawful as store_lawful
from relayd.store import transparency as store_transparency
from relayd.store.db import Database

DAYS: Final = 30
FRESH_MS: Final = 60_000


class Report(NamedTuple):
    """What is shown to everybody. `requests` by basis and state, `erasures` by cause."""

    requests: Mapping[str, Mapping[str, int]]
    erasures: Mapping[str, int]
    use: Published
    since_ms: int
    until_ms: int

    @property
    def all_requests(self) -> int:
        """How many requests there were in all."""
        return sum(sum(each.values()) for each in self.requests.values())


class Figures:
    """The sums of use as they were last read. That takes a second where there is much, and anybody
    may ask: it is done once for all who do, each minute, and anew as soon as somebody decides on a
    consent."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._of: tuple[int, ...] = ()
        self._at_ms = 0
        self._cells: Mapping[str, Cell] = {}

    async def use(self, db: Database, until_ms: int, now_ms: int) -> Mapping[str, Cell]:
        """Of the DAYS before."""
        async with self._lock:
            async with db.reading() as transaction:
                asked = await store_document.asked_anew(transaction, "improve", now_ms)
                of = until_ms, asked, await store_consent.latest_number(transaction)
                if of == self._of and 0 <= now_ms - self._at_ms < FRESH_MS:
                    return self._cells
                since_ms = max(0, until_ms - DAYS * DAY_MS)
                self._cells = await store_transparency.use_by_model(
                    transaction, since_ms, until_ms, asked)
            self._of, self._at_ms = of, now_ms
            return self._cells


async def report(db: Database, now_ms: int, figures: Figures | None = None) -> Report:
    """The figures of now; use is of the last 30 whole days."""
    until_ms = now_ms - now_ms % DAY_MS
    since_ms = max(0, until_ms - DAYS * DAY_MS)
    cells = await (figures or Figures()).use(db, until_ms, now_ms)
    async with db.reading() as transaction:
        rows = await store_lawful.counts(transaction)
        erased = await store_transparency.erasures(transaction)
    requests: dict[str, dict[str, int]] = {
        basis: {state: 0 for state in STATES} for basis in BASES}
    for basis, state, number in rows:
        requests[basis][state] = number
    return Report(requests, erased, publishable(cells), since_ms, until_ms)


def view(found: Report) -> dict[str, object]:
    """The report as JSON shows it."""
    return {
        "requests": {basis: dict(states) for basis, states in found.requests.items()},
        "erasures": dict(found.erasures),
        "use": {
            "since": rfc3339(found.since_ms), "until": rfc3339(found.until_ms),
            "accounts_at_least": K, "suppressed": found.use.suppressed,
            "calls": found.use.calls, "tokens": found.use.tokens,
            "models": {name: {"accounts": cell.accounts, "calls": cell.calls,
                              "tokens": cell.tokens}
                       for name, cell in found.use.cells.items()},
        },
    }
