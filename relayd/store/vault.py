"""The legal vault as rows: each sealed under the key of the year in which it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import orjson

from relayd.core.vault import FIELDS, Item, Value, VaultKind, kept, owner
from relayd.store.transaction import Row, Transaction

_TABLE: Final = "legal_vault"
_SELECT: Final = (
    "SELECT id, account_id, kind, until_ms, stored_at_ms, content FROM legal_vault")

PREFIX: Final = "vault:"
"""Begins the names of years' keys."""
FINAL: Final = ("credited", "expired", "refunded", "part_refunded", "dispute_won", "dispute_lost",
                "failed")
"""States of orders in which nothing more is to come from the partner."""


class Source(NamedTuple):
    """Rows of a kind and when each was complete; then what becomes of them."""

    sql: str
    after: str


_ENDED: Final = ", ".join(f"'{state}'" for state in FINAL)
SOURCES: Final[Mapping[VaultKind, Source]] = {
    "consent": Source(
        "SELECT ?2, {fields} FROM consents AS source WHERE account_id = ?1 ORDER BY number",
        "DELETE FROM consents WHERE account_id = ?1"),
    "dispute": Source(
        "SELECT COALESCE(source.closed_at_ms, source.opened_at_ms, ?2), {fields}"
        " FROM disputes AS source JOIN orders AS o ON o.id = source.order_id"
        " WHERE o.account_id = ?1 AND o.trade IS NOT NULL"
        f" AND o.state IN ({_ENDED}) ORDER BY source.id", ""),
    # the last: what an order has of its partner says that it is not copied yet
    "order": Source(
        "SELECT MAX(COALESCE(paid_at_ms, created_at_ms, ?2),"
        " COALESCE((SELECT MAX(ended_at_ms) FROM refunds WHERE order_id = source.id), 0),"
        " COALESCE((SELECT MAX(closed_at_ms) FROM disputes WHERE order_id = source.id), 0)),"
        " {fields} FROM orders AS source WHERE account_id = ?1"
        " AND (session IS NOT NULL OR trade IS NOT NULL)"
        f" AND state IN ({_ENDED}) ORDER BY id",
        "UPDATE orders SET session = NULL, page = NULL, trade = NULL, client_key = NULL,"
        f" asked = NULL WHERE account_id = ?1 AND state IN ({_ENDED})"),
}
"""What is copied when an account is erased."""


async def insert(transaction: Transaction, item: Item) -> None:
    """Add a copy; its year gets a data key if it has none yet."""
    await transaction.sealer.keyring.make(item.owner)
    text = orjson.dumps(item.content, option=orjson.OPT_SORT_KEYS).decode()
    # with what comes next: an account may have thousands, and nobody else writes meanwhile
    transaction.later(
        "INSERT INTO legal_vault (id, account_id, kind, year, until_ms, stored_at_ms, content)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(item.id, item.account, item.kind, int(item.owner.partition(":")[2]), item.until_ms,
          item.stored_at_ms, transaction.seal(item.owner, _TABLE, "content", item.id, text))])


def _item(transaction: Transaction, row: Row) -> Item:
    item_id, account, kind, until_ms, stored_at_ms, sealed = row
    text = transaction.unseal(owner(until_ms), _TABLE, "content", item_id, sealed)
    return Item(item_id, account, kind, until_ms, stored_at_ms, orjson.loads(text or "{}"))


async def listing(transaction: Transaction, account: str) -> list[Item]:
    """What the vault holds of an account, in the order in which it ends."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? ORDER BY until_ms, id", (account,))
    return [_item(transaction, row) for row in rows]


async def delete_before(transaction: Transaction, now_ms: int, most: int) -> int:
    """Delete what has ended, `most` at most; returns how many that were."""
    return await transaction.run(
        "DELETE FROM legal_vault WHERE id IN"
        " (SELECT id FROM legal_vault WHERE until_ms <= ? ORDER BY until_ms LIMIT ?)",
        (now_ms, most))


async def empty_years(
    transaction: Transaction, owners: Iterable[str], before_year: int,
) -> list[int]:
    """The years before this one, of these keys, in which nothing ends any more."""
    years = [year for year in (int(each.removeprefix(PREFIX)) for each in owners)
             if year < before_year]
    if not years:  # decades may go by before all rows are worth a look
        return []
    rows = await transaction.rows(
        "SELECT DISTINCT year FROM legal_vault UNION SELECT DISTINCT year FROM legal_requests"
        " UNION SELECT DISTINCT vault_year FROM invoices"
        " UNION SELECT DISTINCT vault_year FROM fapiao")
    held = {int(row[0]) for row in rows}
    return [year for year in years if year not in held]


async def copies(
    transaction: Transaction, kind: VaultKind, account: str, now_ms: int,
) -> list[tuple[int, dict[str, Value]]]:
    """(when it was complete, the fields to keep) of an account's rows of this kind."""
    names = sorted(FIELDS[kind])
    fields = ", ".join(f"source.{name}" for name in names)
    rows = await transaction.rows(SOURCES[kind].sql.format(fields=fields), (account, now_ms))
    return [(int(row[0]), kept(kind, dict(zip(names, row[1:], strict=True)))) for row in rows]


async def release(transaction: Transaction, kind: VaultKind, account: str) -> None:
    """Empty or delete the rows that `copies` returned."""
    if SOURCES[kind].after:
        await transaction.run(SOURCES[kind].after, (account,))


async def unreleased(transaction: Transaction, most: int) -> list[str]:
    """Erased accounts whose orders had not ended yet, and now have."""
    rows = await transaction.rows(
        "SELECT DISTINCT o.account_id FROM orders AS o JOIN accounts AS a ON a.id = o.account_id"
        " WHERE a.state = 'erased' AND (o.session IS NOT NULL OR o.trade IS NOT NULL)"
        f" AND o.state IN ({_ENDED}) LIMIT ?", (most,))
    return [row[0] for row in rows]


async def anonymise_orders(transaction: Transaction, complete_before_ms: int, most: int) -> int:
    """Empty what the partner calls the payment in orders that were complete before a moment."""
    return await transaction.run(
        "UPDATE orders SET session = NULL, page = NULL, trade = NULL, client_key = NULL,"
        " asked = NULL WHERE id IN (SELECT id FROM orders AS o"
        # none is complete before it is made: by that they are found
        " WHERE (session IS NOT NULL OR trade IS NOT NULL) AND created_at_ms < ?1"
        # the sign: and not by their state, in which most are
        f" AND +state IN ({_ENDED}) AND MAX(COALESCE(paid_at_ms, created_at_ms),"
        " COALESCE((SELECT MAX(ended_at_ms) FROM refunds WHERE order_id = o.id), 0),"
        " COALESCE((SELECT MAX(closed_at_ms) FROM disputes WHERE order_id = o.id), 0)) < ?1"
        " LIMIT ?2)", (complete_before_ms, most))
