"""The ledger of money as rows: transfers are added, balances move with them, nothing is changed.

Law: a transfer, its entries and the balances they make are one transaction. A cause that is there
already adds nothing, and says so.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.core.posting import (
    BALANCE_NANO_MAX, Entry, LedgerAccount, Transfer, check, check_balance,
)
from relayd.store.directory import StoreError
from relayd.store.transaction import Row, Transaction

_ENTRIES: Final = (
    "SELECT ledger_accounts.kind, ledger_accounts.owner, ledger_accounts.currency,"
    " entries.amount_nano FROM entries JOIN ledger_accounts"
    " ON ledger_accounts.number = entries.ledger_account")


class Posted(NamedTuple):
    """A transfer as it stands in the book."""

    number: int
    at_ms: int
    transfer: Transfer


class Wrong(NamedTuple):
    """What the book's own check found: `what` is a word, `where` a transfer's or party's name."""

    what: str
    where: str
    stored_nano: int
    computed_nano: int


async def post(transaction: Transaction, transfer: Transfer, now_ms: int) -> bool:
    """Add a transfer; False where its cause is there already, with the same entries.

    Raises StoreError `store_refused` where the cause has other entries, RelayError `amount_range`
    or `balance_short` where a balance would leave its bounds.
    """
    check(transfer)
    known = await find(transaction, transfer.cause)
    if known is not None:
        if sorted(known.transfer.entries) != sorted(transfer.entries):
            raise StoreError("store_refused")
        return False
    await transaction.run(
        "INSERT INTO transfers (at_ms, kind, cause) VALUES (?, ?, ?)",
        (now_ms, transfer.kind, transfer.cause))
    row = await transaction.row("SELECT number FROM transfers WHERE cause = ?", (transfer.cause,))
    assert row is not None
    for party, amount_nano in transfer.entries:
        account, balance_nano = await _opened(transaction, party)
        check_balance(party, balance_nano + amount_nano)
        await transaction.run(
            "UPDATE ledger_accounts SET balance_nano = balance_nano + ? WHERE number = ?",
            (amount_nano, account))
        await transaction.run(
            "INSERT INTO entries (transfer, ledger_account, amount_nano) VALUES (?, ?, ?)",
            (row[0], account, amount_nano))
    return True


async def _opened(transaction: Transaction, party: LedgerAccount) -> tuple[int, int]:
    """(number, balance) of a ledger account, which is made at its first use."""
    values = (party.kind, party.owner, party.currency)
    await transaction.run(
        "INSERT INTO ledger_accounts (kind, owner, currency) VALUES (?, ?, ?)"
        " ON CONFLICT (kind, owner, currency) DO NOTHING", values)
    row = await transaction.row(
        "SELECT number, balance_nano FROM ledger_accounts"
        " WHERE kind = ? AND owner = ? AND currency = ?", values)
    assert row is not None
    return int(row[0]), int(row[1])


async def find(transaction: Transaction, cause: str) -> Posted | None:
    """The transfer with this cause, or None."""
    row = await transaction.row(
        "SELECT number, at_ms, kind, cause FROM transfers WHERE cause = ?", (cause,))
    return None if row is None else await _posted(transaction, row)


async def _posted(transaction: Transaction, row: Row) -> Posted:
    entries = await transaction.rows(f"{_ENTRIES} WHERE entries.transfer = ?", (row[0],))
    return Posted(row[0], row[1], Transfer(row[2], row[3], tuple(
        Entry(LedgerAccount(*entry[:3]), entry[3]) for entry in entries)))


async def balance(transaction: Transaction, party: LedgerAccount) -> int:
    """What a ledger account has; 0 where it has never been used."""
    row = await transaction.row(
        "SELECT balance_nano FROM ledger_accounts WHERE kind = ? AND owner = ? AND currency = ?",
        (party.kind, party.owner, party.currency))
    return 0 if row is None else int(row[0])


async def balances(
    transaction: Transaction, owner: str | None = None
) -> dict[LedgerAccount, int]:
    """All ledger accounts of an owner, or of everybody, and what they have."""
    condition, values = ("TRUE", ()) if owner is None else ("owner = ?", (owner,))
    rows = await transaction.rows(
        f"SELECT kind, owner, currency, balance_nano FROM ledger_accounts WHERE {condition}"
        " ORDER BY kind, owner, currency", values)
    return {LedgerAccount(*row[:3]): row[3] for row in rows}


async def history(
    transaction: Transaction, party: LedgerAccount, before: int | None, most: int
) -> list[tuple[Posted, int]]:
    """The newest transfers of a ledger account with its own amount, before that number."""
    rows = await transaction.rows(
        "SELECT transfers.number, transfers.at_ms, transfers.kind, transfers.cause,"
        " entries.amount_nano FROM entries JOIN transfers ON transfers.number = entries.transfer"
        " WHERE entries.ledger_account = (SELECT number FROM ledger_accounts"
        " WHERE kind = ? AND owner = ? AND currency = ?) AND entries.transfer < ?"
        " ORDER BY entries.transfer DESC LIMIT ?",
        (party.kind, party.owner, party.currency,
         BALANCE_NANO_MAX if before is None else before, most))
    return [(await _posted(transaction, row[:4]), row[4]) for row in rows]


async def wrong(transaction: Transaction) -> list[Wrong]:
    """Reads the whole book: transfers that do not sum to zero, are of several currencies or have
    too few entries, and balances that their entries do not make."""
    found = [Wrong("unbalanced", row[0], 0, row[1]) for row in await transaction.rows(
        "SELECT transfers.cause, COALESCE(SUM(amount_nano), 0) FROM transfers"
        " LEFT JOIN entries ON entries.transfer = transfers.number"
        " LEFT JOIN ledger_accounts ON ledger_accounts.number = entries.ledger_account"
        " GROUP BY transfers.number HAVING COALESCE(SUM(amount_nano), 0) <> 0 OR COUNT(*) < 2"
        " OR COUNT(DISTINCT currency) <> 1")]
    found += [Wrong("balance", ":".join(row[:3]), row[3], row[4])
              for row in await transaction.rows(
        "SELECT kind, owner, currency, balance_nano, COALESCE(SUM(amount_nano), 0) AS due"
        " FROM ledger_accounts LEFT JOIN entries"
        " ON entries.ledger_account = ledger_accounts.number"
        " GROUP BY ledger_accounts.number HAVING balance_nano <> due")]
    found += [Wrong("not credited", row[0], 0, row[1]) for row in await transaction.rows(
        "SELECT orders.id, amount_minor FROM orders"
        " LEFT JOIN transfers ON transfers.cause = 'order:' || orders.id || ':credited'"
        " WHERE (state IN ('created', 'pending', 'expired', 'failed', 'paid'))"
        " = (transfers.number IS NOT NULL)")]
    return found
