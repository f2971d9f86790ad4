"""Alerts: a mail when less is left of a balance than its holder wants to know of.

Law: told once, until there was more again.
"""

from __future__ import annotations

from typing import Final

from relayd.control import mail
from relayd.core.errors import RelayError
from relayd.core.money import CURRENCY, decimal, parse_nano
from relayd.core.posting import TRANSFER_NANO_MAX
from relayd.store import alert as store_alert
from relayd.store import wallet as store_wallet
from relayd.store.alert import Alert
from relayd.store.db import Database
from relayd.store.transaction import Transaction

ALERTS_AT_ONCE: Final = 200


async def put(db: Database, account_id: str, currency: str, below: str) -> None:
    """Tell when less than `below`, a decimal text, is left; 0: never. Raises `invalid_value`."""
    nano = parse_nano(below)
    if nano is None or nano > TRANSFER_NANO_MAX:
        raise RelayError("invalid_value", param="below")
    if not CURRENCY.fullmatch(currency):
        raise RelayError("invalid_value", param="currency")
    async with db.writing() as transaction:
        await store_alert.put(transaction, account_id, currency, nano)


async def of_account(db: Database, account_id: str) -> list[Alert]:
    """An account's alerts."""
    async with db.reading() as transaction:
        return await store_alert.of_account(transaction, account_id)


async def tell(db: Database, link: str, now_ms: int) -> int:
    """Mail to everybody whose balance is below their mark now; returns how many were told."""
    told, after = 0, ("", "")
    while True:
        async with db.reading() as transaction:
            alerts = await store_alert.listing(transaction, after, ALERTS_AT_ONCE)
            changed = [(alert, left) for alert in alerts
                       if ((left := await _left(transaction, alert)) < alert.below_nano)
                       != alert.told]
        for alert, left in changed:
            async with db.writing() as transaction:
                await _change(transaction, alert, left, link, now_ms)
            told += not alert.told
        if len(alerts) < ALERTS_AT_ONCE:
            return told
        after = alerts[-1][:2]


async def _left(transaction: Transaction, alert: Alert) -> int:
    found = await store_wallet.of_account(transaction, alert.account)
    return sum(money.nano for money in found if money.currency == alert.currency)


async def _change(
    transaction: Transaction, alert: Alert, left: int, link: str, now_ms: int,
) -> None:
    await store_alert.set_told(transaction, alert, not alert.told)
    if not alert.told:
        sign = "-" if left < 0 else ""
        await mail.post(transaction, "balance_low", alert.account, {
            "amount": f"{sign}{decimal(abs(left), 2)} {alert.currency}", "link": link}, now_ms)


def view(alert: Alert) -> dict[str, object]:
    """An alert as JSON shows it."""
    return {"currency": alert.currency, "below": decimal(alert.below_nano, 2)}
