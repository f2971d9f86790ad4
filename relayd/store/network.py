"""Network records as rows, each sealed under the key of its month.

Law: what a row says but the account and the time opens under its month's key alone, and under none
once that key is destroyed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import orjson

from relayd.core.network import NetworkRecord, month_name
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store.directory import StoreError
from relayd.store.transaction import Row, Transaction

TABLE: Final = "network_records"
MONTH: Final = "month:"
"""Begins the names of months' keys."""


def month_owner(unix_ms: int) -> str:
    """Whose key seals what happened then: `month:2026-11`."""
    return MONTH + month_name(unix_ms)


async def insert(transaction: Transaction, records: Mapping[str, NetworkRecord]) -> int:
    """Adds records by their ids; returns how many.

    Left out are those whose month's key is destroyed, which only a clock that is months wrong
    makes.
    """
    rows = []
    for record_id, record in records.items():
        with unless_gone():
            rows.append((record_id, record.at_ms, record.account,
                         _sealed(transaction, record_id, record)))
    await transaction.many(
        "INSERT INTO network_records (id, at_ms, account_id, sealed) VALUES (?, ?, ?, ?)", rows)
    return len(rows)


async def of_account(
    transaction: Transaction, account_id: str, since_ms: int, until_ms: int,
) -> AsyncIterator[list[NetworkRecord]]:
    """An account's records of [since_ms, until_ms), oldest first, in batches; those that can be
    opened."""
    sql = ("SELECT id, at_ms, account_id, sealed FROM network_records"
           " WHERE account_id = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms, id")
    async for rows in transaction.batches(sql, (account_id, since_ms, until_ms)):
        yield _opened(transaction, rows)


async def next_ms(transaction: Transaction, account_id: str, since_ms: int) -> int | None:
    """When an account's oldest record from `since_ms` on was made; None where it has none."""
    row = await transaction.row(
        "SELECT MIN(at_ms) FROM network_records WHERE account_id = ? AND at_ms >= ?",
        (account_id, since_ms))
    return None if row is None else row[0]


async def latest(
    transaction: Transaction, account_id: str, most: int,
) -> AsyncIterator[list[NetworkRecord]]:
    """An account's newest records, newest first, in batches; those that can be opened."""
    sql = ("SELECT id, at_ms, account_id, sealed FROM network_records WHERE account_id = ?"
           " ORDER BY at_ms DESC, id DESC LIMIT ?")
    async for rows in transaction.batches(sql, (account_id, most)):
        yield _opened(transaction, rows)


async def delete_before(transaction: Transaction, before_ms: int, most: int) -> int:
    """Deletes the oldest records from before a moment, at most so many; returns how many."""
    return await transaction.run(
        "DELETE FROM network_records WHERE id IN"
        " (SELECT id FROM network_records WHERE id < ? ORDER BY id LIMIT ?)",
        (ulid(max(0, before_ms), bytes(RANDOM_BYTES)), most))


def _opened(transaction: Transaction, rows: list[Row]) -> list[NetworkRecord]:
    found = []
    for row in rows:
        with unless_gone():
            found.append(_record(transaction, row))
    return found


@contextmanager
def unless_gone(codes: Collection[str] = ("data_key_gone",)) -> Iterator[None]:
    """Passes over what a month's key opens or seals, where that is destroyed."""
    try:
        yield
    except StoreError as error:
        if error.code not in codes:
            raise


def _sealed(transaction: Transaction, record_id: str, record: NetworkRecord) -> bytes | None:
    text = orjson.dumps([record.key, record.address, record.port, record.tls, record.client])
    return transaction.seal(
        month_owner(record.at_ms), TABLE, "sealed", record_id, text.decode("utf-8"))


def _record(transaction: Transaction, row: Row) -> NetworkRecord:
    record_id, at_ms, account_id, sealed = row
    text = transaction.unseal(month_owner(at_ms), TABLE, "sealed", record_id, sealed)
    return NetworkRecord(at_ms, account_id, *orjson.loads(text or "[]"))
