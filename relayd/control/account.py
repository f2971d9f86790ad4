"""Accounts: create, list, suspend, resume, export; emptied where one is erased.

Law: every change bumps the policy version in its own transaction. `who` is an account's id or its
e-mail address, in any case; what finds nothing is RelayError `account_not_found`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Final

import orjson

from relayd.control import key as control_key
from relayd.control import audit, limit, usage
from relayd.core.account import (
    ACCOUNT_STATES, NAME_CHARS_MAX, Account, AccountState, advance, check_email, check_label,
)
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import key as store_key
from relayd.store import limit as store_limit
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.record import CallFilter
from relayd.store.transaction import BATCH_ROWS, Transaction

ID_PREFIX: Final = "acct_"


async def find(db: Database, who: str) -> Account:
    """The account that `who` names; without what is sealed where that can be read no more."""
    async with db.reading() as transaction:
        return await store_account.known(transaction, who)


async def create(
    db: Database, email: str, name: str | None, now_ms: int, actor: Actor = SHELL,
) -> Account:
    """A new, active account. Raises `invalid_email`, `invalid_value` or `email_taken`."""
    account = Account(
        id=ID_PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)),
        email=check_email(email),
        name=None if name is None else check_label(name, "name", NAME_CHARS_MAX),
        state="active",
        created_at_ms=now_ms,
        state_since_ms=now_ms,
    )
    async with db.writing() as transaction:
        taken = await store_account.holding(transaction, account.email or "")
        if taken is not None:
            raise RelayError("email_taken", param="email", detail=f"It is {taken.id}.")
        await store_account.insert(transaction, account)
        await audit.append(transaction, actor, "account.create", account.id, now_ms)
        await bump_policy_version(transaction)
    return account


async def each(db: Database) -> AsyncIterator[Account]:
    """All accounts, oldest first, erased ones included; read a page at a time, so that nobody
    waits."""
    after = ""
    while True:
        async with db.reading() as transaction:
            page = await store_account.page(transaction, after, BATCH_ROWS)
        for one in page:
            yield one
        if len(page) < BATCH_ROWS:
            return
        after = page[-1].id


async def listing(db: Database) -> list[Account]:
    """The same, at once."""
    return [one async for one in each(db)]


async def names(db: Database, ids: Collection[str]) -> dict[str, str]:
    """The names of those of these accounts that have one, by id."""
    async with db.reading() as transaction:
        return await store_account.names(transaction, ids)


async def note_listing(db: Database, actor: Actor, reason: str | None, now_ms: int) -> None:
    """Say that the addresses of all accounts are shown now; once, and not for each account.

    Raises `invalid_value` for a reason that is none.
    """
    async with db.writing() as transaction:
        await audit.append(transaction, actor, "accounts.list", None, now_ms, reason=reason)


async def empty(transaction: Transaction, account: Account, now_ms: int) -> Account:
    """Take all that is personal from an account and its keys, which are revoked: it is erased."""
    erased = replace(
        account, state=advance(account.state, "erase"), state_since_ms=now_ms, email=None,
        name=None, username=None, country=None, reason=None)
    await store_key.empty(transaction, account.id)
    await store_account.update(transaction, erased)
    return erased


async def counts(db: Database) -> dict[AccountState, int]:
    """How many accounts are in each state."""
    async with db.reading() as transaction:
        found = await store_account.counts(transaction)
    return {state: found.get(state, 0) for state in ACCOUNT_STATES}


def view(account: Account) -> dict[str, object]:
    """The account as JSON shows it."""
    return {
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "state": account.state,
        "created_at": rfc3339(account.created_at_ms),
    }


async def export(db: Database, who: str, now_ms: int) -> AsyncIterator[bytes]:
    """An account, its keys and its calls, as pieces of one JSON document.

    `{"account", "keys", "call_records"}`; keys without their hashes. It comes in pieces because
    the records may be many.
    """
    async with db.reading() as transaction:
        account = await store_account.known(transaction, who)
        keys = await store_key.listing(transaction, account.id)
        limits = await store_limit.get(transaction, "account", account.id)
        of_keys = [await store_limit.get(transaction, "key", key.id) for key in keys]
    yield b'{"account":' + orjson.dumps({**view(account), "limits": limit.view(limits)})
    yield b',"keys":' + orjson.dumps([
        {**control_key.view(key, now_ms), "limits": limit.view(own)}
        for key, own in zip(keys, of_keys, strict=True)])
    yield b',"call_records":['
    separator = b""
    async for record in usage.calls(db, CallFilter(account=account.id)):
        yield separator + orjson.dumps(usage.view(record))
        separator = b","
    yield b"]}\n"
