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
            changed = [each for each in alerts if await _is_low(transaction, each) != each.told]
        for each in changed:
            async with db.writing() as transaction:
                told += await _change(transaction, each, link, now_ms)
        if len(alerts) < ALERTS_AT_ONCE:
            return told
        after = alerts[-1][:2]


async def _is_low(transaction: Transaction, alert: Alert) -> bool:
    return await _left(transaction, alert) < alert.below_nano


async def _left(transaction: Transaction, alert: Alert) -> int:
    found = await store_wallet.of_account(transaction, alert.account)
    return sum(money.nano for money in found if money.currency == alert.currency)


async def _change(transaction: Transaction, listed: Alert, link: str, now_ms: int) -> bool:
    """Whether its holder is told now. All of it is looked at once more: another process may have
    told them, or more may be there, since it was listed."""
    alert = await store_alert.find(transaction, listed.account, listed.currency)
    if alert is None or await _is_low(transaction, alert) == alert.told:
        return False
    await store_alert.set_told(transaction, alert, not alert.told)
    return not alert.told and await _tell(transaction, alert, link, now_ms)


async def _tell(transaction: Transaction, alert: Alert, link: str, now_ms: int) -> bool:
    """Not who is erased by now, or can be read no more: they keep no other waiting."""
    left = await _left(transaction, alert)
    sign = "-" if left < 0 else ""
    try:
        await mail.post(transaction, "balance_low", alert.account, {
            "amount": f"{sign}{decimal(abs(left), 2)} {alert.currency}", "link": link}, now_ms)
    except RelayError as error:
        if error.code not in ("data_key_gone", "seal_broken", "account_state"):
            raise
        return False
    return True


def view(alert: Alert) -> dict[str, object]:
    """An alert as JSON shows it."""
    return {"currency": alert.currency, "below": decimal(alert.below_nano, 2)}
