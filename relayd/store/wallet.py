"""Wallets as rows: what accounts used, what of it the ledger was charged with, what they may owe.

`account_use` follows the rollups by triggers, so it is changed in the transaction that stores a
call; `money_changes` has every account and currency whose money changed, by a number that grows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.store.transaction import Transaction

_MONEY: Final = (
    "SELECT c.account_id, c.currency,"
    " COALESCE((SELECT SUM(balance_nano) FROM ledger_accounts l WHERE l.owner = c.account_id"
    "  AND l.currency = c.currency AND l.kind IN ('balance', 'promo')), 0)"
    " - COALESCE((SELECT used_nano - charged_nano FROM account_use u"
    "  WHERE u.account_id = c.account_id AND u.currency = c.currency), 0),"
    " COALESCE((SELECT credit_nano FROM credit_lines r WHERE r.account_id = c.account_id"
    "  AND r.currency = c.currency), 0)"
    " FROM money_changes c"
)


class Money(NamedTuple):
    """What an account may still spend of a currency: its balances less what calls cost, which may
    be below 0, and how far below that it may go."""

    account: str
    currency: str
    nano: int
    credit_nano: int


class Due(NamedTuple):
    """What calls of an account cost that the ledger does not have yet."""

    account: str
    currency: str
    used_nano: int
    charged_nano: int


async def version(transaction: Transaction) -> int:
    """Grows with every change of somebody's money."""
    row = await transaction.row("SELECT value FROM counters WHERE name = 'money_version'")
    assert row is not None, "a migration makes this row"
    return int(row[0])


async def changed(transaction: Transaction, since: int) -> list[Money]:
    """Everybody whose money changed after that version."""
    rows = await transaction.rows(f"{_MONEY} WHERE c.version > ?", (since,))
    return [Money(*row) for row in rows]


async def of_account(transaction: Transaction, account_id: str) -> list[Money]:
    """An account's money, by currency."""
    rows = await transaction.rows(
        f"{_MONEY} WHERE c.account_id = ? ORDER BY c.currency", (account_id,))
    return [Money(*row) for row in rows]


async def credited(transaction: Transaction) -> list[Money]:
    """The money of everybody who may owe some."""
    rows = await transaction.rows(
        f"{_MONEY} WHERE (c.account_id, c.currency) IN (SELECT account_id, currency"
        " FROM credit_lines WHERE credit_nano > 0) ORDER BY c.account_id, c.currency")
    return [Money(*row) for row in rows]


async def due(transaction: Transaction, most: int, account_id: str | None = None) -> list[Due]:
    """What is to be charged, of one account or of anybody."""
    condition = "" if account_id is None else " AND account_id = ?"
    values = (most,) if account_id is None else (account_id, most)
    rows = await transaction.rows(
        "SELECT account_id, currency, used_nano, charged_nano FROM account_use"
        f" WHERE used_nano > charged_nano{condition} LIMIT ?", values)
    return [Due(*row) for row in rows]


async def due_since(transaction: Transaction, due_: Due, since_ms: int) -> int:
    """What calls since a moment cost, less what was charged since then. Charges that are dated
    into the millisecond before it may stand among those: they are of calls before."""
    row = await transaction.row(
        "SELECT COALESCE((SELECT SUM(amount_nano) FROM rollups"
        "  WHERE account_id = ?1 AND currency = ?2 AND hour_ms >= ?3), 0)"
        " + COALESCE((SELECT SUM(e.amount_nano) FROM ledger_accounts l"
        "  JOIN entries e ON e.ledger_account = l.number JOIN transfers t ON t.number = e.transfer"
        "  WHERE l.owner = ?1 AND l.currency = ?2 AND l.kind IN ('balance', 'promo')"
        "  AND t.kind = 'charge' AND t.cause GLOB 'use:*' AND t.at_ms >= ?3"
        # from the newest backwards, to the first of before
        "  AND e.transfer > COALESCE((SELECT f.transfer FROM entries f"
        "   JOIN transfers u ON u.number = f.transfer WHERE f.ledger_account = l.number"
        "   AND u.at_ms < ?3 - 1 ORDER BY f.transfer DESC LIMIT 1), 0)), 0)",
        (due_.account, due_.currency, since_ms))
    assert row is not None
    return int(row[0])


async def set_charged(transaction: Transaction, charged: Due) -> None:
    """Say that the ledger has all of it."""
    await transaction.run(
        "UPDATE account_use SET charged_nano = ? WHERE account_id = ? AND currency = ?",
        (charged.used_nano, charged.account, charged.currency))


async def set_credit(
    transaction: Transaction, account_id: str, currency: str, credit_nano: int
) -> None:
    """How far an account may go below nothing."""
    await transaction.run(
        "INSERT INTO credit_lines (account_id, currency, credit_nano) VALUES (?, ?, ?)"
        " ON CONFLICT (account_id, currency) DO UPDATE SET credit_nano = excluded.credit_nano",
        (account_id, currency, credit_nano))


async def wrong(transaction: Transaction) -> list[tuple[str, str, int, int]]:
    """(account, currency, stored, computed) where what was used is not what its hours sum to.

    Accounts that are erased are left out: their hours are nobody's.
    """
    rows = await transaction.rows(
        "SELECT account_id, currency, SUM(stored), SUM(computed) FROM ("
        " SELECT account_id, currency, used_nano AS stored, 0 AS computed FROM account_use"
        " UNION ALL SELECT account_id, currency, 0, SUM(amount_nano) FROM rollups"
        "  WHERE account_id <> '' GROUP BY account_id, currency)"
        " WHERE account_id NOT IN (SELECT id FROM accounts WHERE state = 'erased')"
        " GROUP BY account_id, currency HAVING SUM(stored) <> SUM(computed)")
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def wrong_charges(transaction: Transaction) -> list[tuple[str, str, int, int]]:
    """(account, currency, stored, computed) where what was charged for calls is not what the
    ledger's charges took; use from before there was a ledger is in none."""
    rows = await transaction.rows(
        "SELECT owner, currency, SUM(stored), SUM(computed) FROM ("
        " SELECT account_id AS owner, currency, charged_nano - before_nano AS stored,"
        "  0 AS computed FROM account_use"
        " UNION ALL SELECT l.owner, l.currency, 0, -SUM(e.amount_nano) FROM transfers t"
        "  JOIN entries e ON e.transfer = t.number"
        "  JOIN ledger_accounts l ON l.number = e.ledger_account"
        "   AND l.kind IN ('balance', 'promo')"
        "  WHERE t.kind = 'charge' AND t.cause GLOB 'use:*' GROUP BY l.owner, l.currency)"
        " GROUP BY owner, currency HAVING SUM(stored) <> SUM(computed)")
    return [(row[0], row[1], row[2], row[3]) for row in rows]
