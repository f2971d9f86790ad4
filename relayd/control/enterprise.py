"""Enterprises: mark an account as a company's, and keep what the company says of itself."""

from __future__ import annotations

from dataclasses import asdict

from relayd.control import audit
from relayd.core.actor import Actor
from relayd.core.enterprise import Enterprise
from relayd.core.errors import RelayError
from relayd.store import account as store_account
from relayd.store import enterprise as store_enterprise
from relayd.store.db import Database
from relayd.store.enterprise import Marked
from relayd.store.transaction import Transaction


async def find(db: Database, account: str) -> Marked | None:
    """What an account said as an enterprise; None where it is not marked as one."""
    async with db.reading() as transaction:
        return await store_enterprise.find(transaction, account)


async def mark(db: Database, actor: Actor, who: str, now_ms: int) -> str:
    """An account is an enterprise's from now on; returns its id."""
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        if account.state == "erased":
            raise RelayError("account_state", param="account")
        await store_enterprise.mark(transaction, account.id, now_ms)
        await audit.append(transaction, actor, "enterprise.mark", account.id, now_ms)
    return account.id


async def unmark(db: Database, actor: Actor, who: str, now_ms: int) -> str:
    """It is none; what it said is deleted. Copies on documents that were issued stay there."""
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        await store_enterprise.unmark(transaction, account.id)
        await audit.append(transaction, actor, "enterprise.unmark", account.id, now_ms)
    return account.id


async def change(
    db: Database, actor: Actor, account: str, profile: Enterprise | None, now_ms: int,
) -> Enterprise | None:
    """Write what a company says of itself; None: nothing.

    Raises `not_enterprise` for an account that is not marked, `invalid_uscc`, `invalid_value`.
    """
    checked = None if profile is None else profile.checked()
    async with db.writing() as transaction:
        if await store_enterprise.find(transaction, account) is None:
            raise RelayError("not_enterprise")
        await store_enterprise.put(transaction, account, checked, now_ms)
        await audit.append(transaction, actor, "enterprise.change", account, now_ms)
    return checked


async def buyer(transaction: Transaction, account: str, *, shown: bool = True) -> dict[str, str]:
    """Who an account's invoices are for: the company, else the holder's name, else the id.

    An account that can be read no more has its id alone.
    """
    try:
        marked = await store_enterprise.find(transaction, account)
        if marked is not None and marked.profile is not None:
            return marked.profile.buyer(shown=shown)
        name = (await store_account.get(transaction, account)).name
    except RelayError as error:
        if error.code not in ("data_key_gone", "seal_broken"):
            raise
        name = None
    return {"name": name or account}


def view(marked: Marked | None) -> dict[str, object]:
    """An enterprise as JSON shows it to its holder."""
    profile = None if marked is None or marked.profile is None else asdict(marked.profile)
    return {"marked": marked is not None, "profile": profile}
