"""Usage: post call records, list them, add them up.

Law: records and rollups change in one transaction, and only records that are new are added, so
posting the same batch twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

import msgspec

from relayd.core.attribution import attributed
from relayd.core.columns import Columns, in_one, in_parts, places
from relayd.core.price import NO_PRICES, Rates
from relayd.core.record import PRICED_ONLY, CallRecord
from relayd.core.rollup import rollups
from relayd.core.timestamp import rfc3339
from relayd.store import applied as store_applied
from relayd.store import attribution as store_attribution
from relayd.store import record as store_record
from relayd.store import rollup as store_rollup
from relayd.store.applied import Applied
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.erasure import erased_of
from relayd.store.record import CallFilter
from relayd.store.rollup import Total
from relayd.store.transaction import BATCH_ROWS, Transaction


_APP: Final = places("app")
_SUMMED_PARTS: Final = 5


class Posted(NamedTuple):
    """The records that were new, as they are stored, and the ids of those that the store does not
    take."""

    fresh: Sequence[Columns]
    refused: list[str]

    @property
    def new(self) -> int:
        """How many were new."""
        return sum(map(len, self.fresh))


async def post(
    db: Database, records: Sequence[CallRecord], book: Rates = NO_PRICES,
    applied: Applied | None = None,
) -> int:
    """Store these records, rated, durably, in one transaction; returns how many were new.

    A record that is stored already stays as it is: prices that changed since do not touch it.
    `applied` is how far in the journal the store is with these. Raises StoreError, and then none
    of them is stored; `store_refused` says that one of them is not a record that the store takes.
    """
    rated = [book.rated(record) for record in records] if book else records
    return sum(map(len, await post_parts(db, in_parts(rated), applied)))


async def post_parts(
    db: Database, parts: Sequence[Columns], applied: Applied | None = None,
) -> Sequence[Columns]:
    """As `post`, of records that are rated; returns those that were new."""
    if not parts and applied is None:
        return []
    async with db.writing(begin_now=False) as transaction:
        fresh = await store_record.insert(transaction, await _unlabelled(transaction, parts))
        for at in range(0, len(fresh), _SUMMED_PARTS):
            await store_rollup.add(transaction, rollups(fresh[at:at + _SUMMED_PARTS]))
            await asyncio.sleep(0)  # this is the loop that carries calls
        await _attribute(transaction, fresh)
        if applied is not None:
            await store_applied.advance(transaction, applied)
    return fresh


def _labelled(parts: Sequence[Columns]) -> list[CallRecord]:
    """Those of the records that name an application; of most calls none does."""
    return [record for part in parts if not part.alike(_APP) or part.values[_APP[0]][0] is not None
            for record in part.records if record.app is not None]


async def _attribute(transaction: Transaction, parts: Sequence[Columns]) -> None:
    """Add up by application what requests named one for."""
    labelled = _labelled(parts)
    keys = {record.key for record in labelled}
    if keys and (without := await store_attribution.unlabelled(transaction, keys)):
        await store_attribution.add(transaction, attributed(labelled, without))


async def _unlabelled(transaction: Transaction, parts: Sequence[Columns]) -> Sequence[Columns]:
    """The same without the application labels of accounts that were erased since: a call that was
    under way then, or one that the journal kept, brings none of them back."""
    labelled = {record.account for record in _labelled(parts)}
    erased = set(await erased_of(transaction, sorted(labelled))) if labelled else set()
    return in_parts([
        msgspec.structs.replace(record, app=None) if record.account in erased else record
        for record in in_one(parts)]) if erased else parts


async def post_each(
    db: Database, records: Sequence[CallRecord], book: Rates = NO_PRICES,
    applied: Applied | None = None,
) -> Posted:
    """As `post`, but a record that the store never takes does not hold up the others."""
    rated = [book.rated(record) for record in records] if book else records
    return await post_each_part(db, in_parts(rated), applied)


async def post_each_part(
    db: Database, parts: Sequence[Columns], applied: Applied | None = None,
) -> Posted:
    """As `post_each`, of records that are rated.

    What is refused is looked for by halves: a transaction for each record is a sync for each.
    """
    try:
        return Posted(await post_parts(db, parts, applied), [])
    except StoreError as error:
        if error.code != "store_refused":
            raise
    fresh: list[Columns] = []
    refused = []
    waiting = [in_one(parts)]
    while waiting:
        records = waiting.pop()
        try:
            fresh += await post_parts(db, in_parts(records))
        except StoreError as error:
            if error.code != "store_refused":
                raise
            half = len(records) // 2
            if half:
                waiting += [records[half:], records[:half]]
            else:
                refused.append(records[0].id)
    await post_parts(db, [], applied)
    return Posted(in_parts(in_one(fresh)), refused)


async def totals(db: Database, wanted: CallFilter) -> list[Total]:
    """Sums by account, model and currency."""
    async with db.reading() as transaction:
        return await store_rollup.totals(transaction, wanted)


async def calls(db: Database, wanted: CallFilter) -> AsyncIterator[CallRecord]:
    """The wanted calls by start; each page is a transaction of its own, so none lasts long."""
    async with db.reading() as transaction:
        parts = await store_rollup.narrowed(transaction, wanted)
    for part in parts:
        last: CallRecord | None = None
        while True:
            async with db.reading() as transaction:
                page = await store_record.page(transaction, part, last)
            for record in page:
                yield record
            if len(page) < BATCH_ROWS:
                break
            last = page[-1]


def view(record: CallRecord) -> dict[str, object]:
    """The record as JSON shows it: the contract's fields in the contract's order."""
    fields = msgspec.structs.asdict(record)
    for name in PRICED_ONLY:
        del fields[name]
    return {
        "id": fields.pop("id"),
        "started_at": rfc3339(fields.pop("started_at_ms")),
        **fields,
    }
