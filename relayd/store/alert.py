"""Alerts of low balances as rows."""

from __future__ import annotations

from typing import NamedTuple

from relayd.store.transaction import Transaction


class Alert(NamedTuple):
    """Tell when less than `below_nano` is left; `told` since it last was less."""

    account: str
    currency: str
    below_nano: int
    told: bool


async def put(
    transaction: Transaction, account_id: str, currency: str, below_nano: int
) -> None:
    """Set an alert; 0 takes it away."""
    if not below_nano:
        await transaction.run(
            "DELETE FROM balance_alerts WHERE account_id = ? AND currency = ?",
            (account_id, currency))
        return
    await transaction.run(
        "INSERT INTO balance_alerts (account_id, currency, below_nano) VALUES (?, ?, ?)"
        " ON CONFLICT (account_id, currency) DO UPDATE"
        " SET below_nano = excluded.below_nano, told = 0", (account_id, currency, below_nano))


async def of_account(transaction: Transaction, account_id: str) -> list[Alert]:
    """An account's alerts."""
    rows = await transaction.rows(
        "SELECT account_id, currency, below_nano, told FROM balance_alerts WHERE account_id = ?",
        (account_id,))
    return [Alert(row[0], row[1], row[2], bool(row[3])) for row in rows]


async def find(transaction: Transaction, account_id: str, currency: str) -> Alert | None:
    """An account's alert of a currency."""
    found = await of_account(transaction, account_id)
    return next((each for each in found if each.currency == currency), None)


async def listing(
    transaction: Transaction, after: tuple[str, str], most: int
) -> list[Alert]:
    """Alerts of accounts that can be told, by account and currency, after those."""
    rows = await transaction.rows(
        # crossed in this order: else all are found, and sorted, for each batch of them
        "SELECT b.account_id, b.currency, b.below_nano, b.told FROM balance_alerts b"
        " CROSS JOIN accounts a ON a.id = b.account_id AND a.state IN ('active', 'suspended')"
        " WHERE (b.account_id, b.currency) > (?, ?) ORDER BY b.account_id, b.currency LIMIT ?",
        (*after, most))
    return [Alert(row[0], row[1], row[2], bool(row[3])) for row in rows]


async def set_told(transaction: Transaction, alert: Alert, told: bool) -> None:
    """Whether the holder knows."""
    await transaction.run(
        "UPDATE balance_alerts SET told = ? WHERE account_id = ? AND currency = ?",
        (int(told), alert.account, alert.currency))
