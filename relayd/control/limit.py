"""Limits of an account's or a key's own: show, change; and what was spent of budgets.

Law: every change bumps the policy version in its own transaction. Amounts are given as decimal
texts and kept as nano-units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from relayd.control import audit
from relayd.control.key import find as find_key
from relayd.core.actor import SHELL, Actor
from relayd.core.budget import SpentReading, day_of, month_of
from relayd.core.errors import RelayError
from relayd.core.limit import AMOUNTS, BUDGET_MAX, LIMIT_MAX, Limits
from relayd.core.money import decimal, parse_nano
from relayd.store import account as store_account
from relayd.store import limit as store_limit
from relayd.store.db import Database
from relayd.store.limit import Owner
from relayd.store.meta import bump_policy_version
from relayd.store.transaction import Transaction

DEFAULT: Final = "default"
"""Takes a limit of one's own away again."""


def parse(name: str, text: str) -> int:
    """The value of a limit from its text; raises `invalid_value`."""
    if name in AMOUNTS:
        value = parse_nano(text)
        most = BUDGET_MAX
    else:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
        most = LIMIT_MAX
    if value is None or value > most:
        raise RelayError("invalid_value", param=name)
    return value


async def show(db: Database, owner: Owner, ref: str) -> tuple[str, dict[str, int]]:
    """(id, own limits by name) of an account or a key."""
    async with db.reading() as transaction:
        _, owner_id = await _ids(db, transaction, owner, ref)
        return owner_id, await store_limit.get(transaction, owner, owner_id)


async def change(
    db: Database, owner: Owner, ref: str, changes: Mapping[str, str], now_ms: int,
    actor: Actor = SHELL,
) -> tuple[str, dict[str, int]]:
    """Sets the named limits, from texts; `default` takes one away. Returns what `show` does."""
    values = {name: None if text == DEFAULT else parse(name, text)
              for name, text in changes.items()}
    async with db.writing() as transaction:
        account_id, owner_id = await _ids(db, transaction, owner, ref)
        limits = await store_limit.get(transaction, owner, owner_id)
        for name, value in values.items():
            if value is None:
                limits.pop(name, None)
            else:
                limits[name] = value
        await store_limit.put(transaction, owner, owner_id, limits)
        await audit.append(transaction, actor, "limit.change", account_id, now_ms, details={
            **values, **({"key": owner_id} if owner == "key" else {})})
        await bump_policy_version(transaction)
    return owner_id, limits


async def _ids(
    db: Database, transaction: Transaction, owner: Owner, ref: str
) -> tuple[str, str]:
    """(id of the account, id of whose limits they are)."""
    if owner == "account":
        found = (await store_account.known(transaction, ref)).id
        return found, found
    key = await find_key(db, transaction, ref)
    return key.account, key.id


def view(limits: Mapping[str, int]) -> dict[str, object]:
    """Own limits as JSON shows them: every name; null: as the configuration says."""
    shown: dict[str, object] = dict.fromkeys(Limits._fields)
    for name, value in limits.items():
        shown[name] = decimal(value, 2) if name in AMOUNTS else value
    return shown


async def budgeted(db: Database) -> bool:
    """Whether the store has any budget."""
    async with db.reading() as transaction:
        return await store_limit.budgeted(transaction)


async def spent(
    db: Database, accounts: Sequence[str] | None, now_ms: int,
    unposted: Callable[[], Collection[tuple[int, str]]],
) -> SpentReading:
    """What accounts (None: all) have spent, and which of the `unposted` calls are in it.

    `unposted` is called when the state of the store is fixed that is read: what is settled later
    cannot be in it.
    """
    async with db.watching() as transaction:
        rows = await store_limit.spent(transaction, accounts, month_of(now_ms), day_of(now_ms))
        known = await store_limit.known(transaction, unposted())
    return SpentReading(now_ms, rows, known)


async def of_keys(db: Database, account_id: str) -> dict[str, dict[str, int]]:
    """The limits of an account's keys of their own, by key; keys without any are left out."""
    async with db.reading() as transaction:
        return await store_limit.of_keys(transaction, account_id)
