"""Amounts held against the price book: what recorded calls would cost by the prices of today.

Law: reads and changes nothing. A record's amount is what the book said when the call was posted;
the book may have been edited since, so that a difference is a thing to know and no fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from relayd.control import usage
from relayd.core.plan import Tariff
from relayd.core.record import CallRecord
from relayd.store.db import Database
from relayd.store.record import CallFilter

UNLIKE_MAX: Final = 1000
"""So many differences are kept; all are counted."""


class Unlike(NamedTuple):
    """A record, and the amount and currency that the book gives for it."""

    record: CallRecord
    amount_nano: int
    currency: str


@dataclass(slots=True)
class Finding:
    """`compared` calls have a price in the book; `differing` of them were rated otherwise."""

    compared: int = 0
    differing: int = 0
    unlike: list[Unlike] = field(default_factory=list)


async def verify(db: Database, tariff: Tariff) -> Finding:
    """Rates every record again, by the entries of its own time and its account's plan of now."""
    found = Finding()
    if not tariff:
        return found
    async for record in usage.calls(db, CallFilter()):
        if tariff.book.price_of(record) is None:
            continue
        found.compared += 1
        rated = tariff.rated(msgspec.structs.replace(record, amount_nano=0))
        # an amount of nothing is the same in every currency
        if (rated.amount_nano != record.amount_nano
                or record.amount_nano and rated.currency != record.currency):
            found.differing += 1
            if len(found.unlike) < UNLIKE_MAX:
                found.unlike.append(Unlike(record, rated.amount_nano, rated.currency))
    return found


def view(unlike: Unlike) -> dict[str, object]:
    """One difference as JSON shows it: `[recorded, by today's prices]`, marked as no fault."""
    record = unlike.record
    return {
        "call": record.id, "information": True,
        "differs": {"amount_nano": [record.amount_nano, unlike.amount_nano],
                    "currency": [record.currency, unlike.currency]},
    }
