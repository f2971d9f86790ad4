"""Wallets: what accounts may still spend, and the charges that the ledger gets for their calls.

Law: calls are charged once: a charge is the difference between what the account's records cost and
what it was charged before, and both move in one transaction. Promo credit is used up first. What
is charged soon after a month's end for calls of before is dated into its last millisecond, so that
use and the credit that paid it are on one invoice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from relayd.control import audit, conflict
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.grant import spent
from relayd.core.invoice import month, month_text
from relayd.core.money import CURRENCY, decimal, parse_nano
from relayd.core.posting import TRANSFER_NANO_MAX, LedgerAccount, charge
from relayd.core.timestamp import DAY_MS
from relayd.store import account as store_account
from relayd.store import grant as store_grant
from relayd.store import limit as store_limit
from relayd.store import posting as store_posting
from relayd.store import wallet as store_wallet
from relayd.store.db import Database
from relayd.store.transaction import Transaction
from relayd.store.wallet import Due, Money

DUE_MAX: Final = 200
"""Currencies of one account."""
LATE_MS: Final = 3 * DAY_MS
"""For how long after a month's end calls of before are told apart: later the sums of a month's
hours would be read for each charge."""
CHARGED_TOGETHER: Final = 40
"""Accounts charged in one transaction: 30 ms, so that calls do not wait for the store."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Money that changed, as of one state of the store; `known` calls are in it."""

    version: int
    money: tuple[Money, ...]
    known: frozenset[str]


async def read(
    db: Database, since: int, unposted: Callable[[], Collection[tuple[int, str]]],
) -> Reading:
    """Everybody's money that changed after version `since`, and which unposted calls it holds."""
    async with db.watching() as transaction:
        version = await store_wallet.version(transaction)
        if version == since:
            return Reading(version, (), frozenset())
        money = tuple(await store_wallet.changed(transaction, since))
        known = frozenset(await store_limit.known(transaction, unposted()))
    return Reading(version, money, known)


async def charge_all(db: Database, now_ms: int) -> int:
    """Charge the ledger with what calls cost; returns how many accounts were charged."""
    async with db.reading() as transaction:
        if not await store_wallet.due(transaction, 1):
            return 0
    async with db.writing() as transaction:
        found = await store_wallet.due(transaction, CHARGED_TOGETHER)
        for due in found:
            await _charge(transaction, due, now_ms)
    return len(found)


async def charge_account(transaction: Transaction, account_id: str, now_ms: int) -> None:
    """The same for one account, within what else is done to it."""
    for due in await store_wallet.due(transaction, DUE_MAX, account_id):
        await _charge(transaction, due, now_ms)


async def _charge(transaction: Transaction, due: Due, now_ms: int) -> None:
    start_ms = month(month_text(now_ms)).start_ms
    late = due.charged_nano
    if now_ms < start_ms + LATE_MS:
        since = max(0, await store_wallet.due_since(transaction, due, start_ms))
        late = max(late, due.used_nano - since)
    await _charge_until(transaction, due, late, start_ms - 1)
    await _charge_until(
        transaction, due._replace(charged_nano=late), due.used_nano, now_ms)
    await store_wallet.set_charged(transaction, due)


async def _charge_until(
    transaction: Transaction, due: Due, until_nano: int, at_ms: int
) -> None:
    """Charge what is due until so much was charged."""
    charged = due.charged_nano
    while charged < until_nano:
        amount = min(until_nano - charged, TRANSFER_NANO_MAX)
        promo = await store_posting.balance(
            transaction, LedgerAccount("promo", due.account, due.currency))
        charged += amount
        for grant, part in spent(
                await store_grant.left(transaction, due.account, due.currency),
                min(promo, amount)):
            await store_grant.take(transaction, grant.id, part)
        cause = f"use:{due.account}:{due.currency}:{charged}"
        await store_posting.post(
            transaction, charge(cause, amount, due.currency, due.account, promo), at_ms)


async def money(db: Database, who: str) -> list[Money]:
    """What an account may still spend, by currency."""
    async with db.reading() as transaction:
        account = await store_account.known(transaction, who)
        return await store_wallet.of_account(transaction, account.id)


async def credited(db: Database) -> list[Money]:
    """The money of everybody who may owe some."""
    async with db.reading() as transaction:
        return await store_wallet.credited(transaction)


async def set_credit(
    db: Database, who: str, currency: str, amount: str, now_ms: int, actor: Actor,
) -> None:
    """How far an account may go below nothing, as a decimal text.

    Raises `invalid_value`, `own_account`.
    """
    await conflict.judge_own(db, actor, who, "credit.change", now_ms)
    nano = parse_nano(amount)
    if nano is None or nano > TRANSFER_NANO_MAX:
        raise RelayError("invalid_value", param="credit")
    if not CURRENCY.fullmatch(currency):
        raise RelayError("invalid_value", param="currency")
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        await store_wallet.set_credit(transaction, account.id, currency, nano)
        await audit.append(transaction, actor, "credit.change", account.id, now_ms,
                           details={"currency": currency, "nano": nano})


def view(found: Money) -> dict[str, object]:
    """Money as JSON shows it; a balance may be below nothing."""
    sign = "-" if found.nano < 0 else ""
    return {"currency": found.currency, "balance": sign + decimal(abs(found.nano), 2),
            "balance_nano": found.nano, "credit": decimal(found.credit_nano, 2)}
