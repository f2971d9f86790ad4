"""Retention: every kind of data goes when its term is over (core/retention.py).

Law: what is deleted goes the oldest first, in transactions so small that nobody waits for one. Of
call records whole hours go, and their sums stay; the store says from when on its records are
complete before the first of them goes. What each sweep did is kept, and shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from relayd.control import (
    erasure, identity, invoice, keyring, lawful, network, ticket, vault,
)
from relayd.core.retention import ACTIONS, CATEGORIES, Terms
from relayd.core.rollup import hour_of
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.store import attribution as store_attribution
from relayd.store import backup
from relayd.store import consent as store_consent
from relayd.store import erasure as store_erasure
from relayd.store import fapiao as store_fapiao
from relayd.store import lawful as store_lawful
from relayd.store import mail as store_mail
from relayd.store import meta as store_meta
from relayd.store import partner as store_partner
from relayd.store import record as store_record
from relayd.store import retention as store_retention
from relayd.store import rollup as store_rollup
from relayd.store import vault as store_vault
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.retention import Swept

MAIL: Final = "mail:"
"""Begins the names of the keys of mail to people without an account, a key a month."""
BATCH_RECORDS: Final = 500
"""Records per transaction: 2 to 5 ms, and the disk's sync."""

Sweeper = Callable[[Database, Terms, int, int], Awaitable[int]]
"""Deletes at most so many rows of a category at a moment; fewer: no more are left."""


def ends_ms(now_ms: int, days: int) -> int:
    """Calls that started before this moment, the start of an hour, are kept no longer."""
    return max(0, hour_of(now_ms - days * DAY_MS))


async def sweep_batch(db: Database, until_ms: int, most: int = BATCH_RECORDS) -> int:
    """Delete the records of the oldest calls from before `until_ms` (the start of an hour).

    Returns how many; fewer than `most` say that no more are left. Raises StoreError.
    """
    async with db.writing() as transaction:
        deleted = await store_record.delete_before(transaction, until_ms, most)
        if deleted:
            await store_meta.set_swept_ms(transaction, until_ms)
    return deleted


async def kept_from_ms(db: Database) -> int:
    """Of calls that started before this moment only the hours' sums are left; 0: all are there."""
    async with db.reading() as transaction:
        return await store_meta.swept_ms(transaction)


async def _call_records(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    until_ms = ends_ms(now_ms, terms.value("call_records"))
    deleted = await sweep_batch(db, until_ms, most)
    async with db.writing() as transaction:  # behind it: the store says first what is not whole
        await store_attribution.delete_before(transaction, until_ms, most)
    return deleted


async def _totals(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    """Sums of erased accounts lead to nobody, once the records that they add up are gone."""
    async with db.writing() as transaction:
        until_ms = await store_meta.swept_ms(transaction)
        return await store_rollup.anonymise(transaction, until_ms, most)


async def _identity(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    """Registrations, mailed links, sessions, sign-ins: all of them, each noted where it is."""
    await identity.sweep(db, now_ms, terms.value("sign_ins"))
    return 0


async def _network(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    # addresses of sign-ins are under the same months' keys
    longest_ms = max(terms.ms("network_records"), terms.ms("sign_ins"))
    await network.destroy_months(db, now_ms - longest_ms)
    await keyring.turn_pseudonyms(db, now_ms)
    return await network.sweep_batch(db, terms.before_ms("network_records", now_ms), most)


async def _letters(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    before_ms = terms.before_ms("letters", now_ms)
    async with db.writing() as transaction:
        rows = await store_mail.delete_before(transaction, before_ms, most)
    for owner in await asyncio.to_thread(db.keyring.owners, prefix=MAIL):
        if owner.removeprefix(MAIL) < rfc3339(before_ms)[:7]:
            await db.keyring.destroy(owner)
    return rows


async def _tickets(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    return await ticket.sweep_batch(db, terms.before_ms("tickets", now_ms), most)


async def _orders(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    await vault.late(db, terms, now_ms, most)
    before_ms = terms.before_ms("orders", now_ms)
    async with db.writing() as transaction:
        rows = await store_vault.anonymise_orders(transaction, before_ms, most)
        if rows < most:  # whoever asks the partner for a message's number learns who paid
            rows += await store_partner.delete_before(transaction, before_ms, most - rows)
    return rows


async def _invoices(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    """Copies in the vault, documents and fapiao: each knows its own end."""
    rows = await vault.sweep_batch(db, now_ms, most)
    if rows < most:
        rows += await invoice.sweep_batch(db, now_ms, most - rows)
    if rows < most:
        async with db.writing() as transaction:
            rows += await store_fapiao.delete_before(transaction, now_ms, most - rows)
    await vault.destroy_years(db, now_ms)
    return rows


async def _consents(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    async with db.writing() as transaction:
        return await store_consent.delete_of_erased(
            transaction, terms.before_ms("consents", now_ms), most)


async def _erasures(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    try:
        await erasure.finish(db)
    except StoreError as error:  # a reader is in the way of wiping: there are more turns
        if error.code != "store_busy":
            raise
    async with db.writing() as transaction:
        return await store_erasure.delete_before(
            transaction, terms.before_ms("erasures", now_ms), most)


async def _legal_requests(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    await lawful.expire(db, now_ms)
    async with db.writing() as transaction:
        return await store_lawful.delete_before(
            transaction, terms.before_ms("legal_requests", now_ms), most)


async def _backups(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    return backup.expire_saved(
        db.directory, terms.before_ms("backups", now_ms), now_ms - DAY_MS)


SWEEPERS: Final[Mapping[str, Sweeper]] = {
    "sign_ins": _identity,
    "network_records": _network,
    "call_records": _call_records,
    "totals": _totals,
    "letters": _letters,
    "tickets": _tickets,
    "orders": _orders,
    "invoices": _invoices,
    "consents": _consents,
    "erasures": _erasures,
    "legal_requests": _legal_requests,
    "backups": _backups,
}
"""By category. The audit log is pruned where its checkpoints are signed (jobs/audit.py)."""


async def note(db: Database, category: str, rows: int, now_ms: int) -> None:
    """Keep what a sweep of a category did; those of `identity` note it themselves."""
    if SWEEPERS.get(category) is _identity:
        return
    async with db.writing() as transaction:
        await store_retention.note(transaction, category, rows, now_ms)


async def noted(db: Database) -> dict[str, Swept]:
    """The last sweep of each category that was ever swept."""
    async with db.reading() as transaction:
        return await store_retention.swept(transaction)


async def schedule(db: Database, terms: Terms) -> list[dict[str, object]]:
    """The whole table as it is in force, each row with its last sweep, as JSON shows it."""
    swept = await noted(db)
    return [{
        "category": each.name, "term": terms.value(each.name), "unit": each.unit,
        "floor": each.floor, "since": each.since, "action": each.action,
        "meaning": ACTIONS[each.action], "basis": each.basis, "option": each.option,
        "last_sweep": None if each.name not in swept else {
            "at": rfc3339(swept[each.name].at_ms), "rows": swept[each.name].last_rows,
            "all_rows": swept[each.name].all_rows},
    } for each in CATEGORIES]
