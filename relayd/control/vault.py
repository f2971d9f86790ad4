"""The legal vault: put in what must outlive an account, open it with a reason, let it end.

Law: what is in the vault is only stored (PIPL art. 47): nothing of it is used, and every look is
in the audit log. A year's key is destroyed when the year is over and all that it sealed is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from relayd.control import audit
from relayd.core.actor import SYSTEM, Actor
from relayd.core.errors import RelayError
from relayd.core.retention import Terms, year_of
from relayd.core.timestamp import rfc3339
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.core.vault import CATEGORY, Item, VaultKind
from relayd.store import account as store_account
from relayd.store import vault as store_vault
from relayd.store.db import Database
from relayd.store.transaction import Transaction

READERS: Final = ("legal", "finance")


async def store(
    transaction: Transaction, account: str, terms: Terms, now_ms: int,
) -> dict[VaultKind, list[Item]]:
    """Copy what must survive of an account, and empty or delete the rows that it was in.

    What has ended already is not copied: the key of its year may be destroyed.
    """
    found: dict[VaultKind, list[Item]] = {}
    for kind in store_vault.SOURCES:
        copies = await store_vault.copies(transaction, kind, account, now_ms)
        for complete_ms, content in copies:
            until_ms = complete_ms + terms.ms(CATEGORY[kind])
            if until_ms <= now_ms:
                continue
            item = Item("vlt_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account, kind,
                        until_ms, now_ms, content)
            await store_vault.insert(transaction, item)
            found.setdefault(kind, []).append(item)
        if copies:
            await store_vault.release(transaction, kind, account)
    return found


async def look(
    db: Database, actor: Actor, who: str, reason: str, now_ms: int,
) -> list[Item]:
    """What the vault holds of an account. Raises `role_needed`, `reason_missing`,
    `account_not_found`."""
    if not actor.has("legal", "finance"):
        raise RelayError("role_needed")
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        await audit.append(transaction, actor, "vault.look", account.id, now_ms, reason=reason)
        return await store_vault.listing(transaction, account.id)


async def late(db: Database, terms: Terms, now_ms: int, most: int) -> int:
    """Copy the orders of erased accounts that had not ended when they were erased."""
    async with db.writing() as transaction:
        accounts = await store_vault.unreleased(transaction, most)
        for account in accounts:
            await store(transaction, account, terms, now_ms)
    return len(accounts)


async def sweep_batch(db: Database, now_ms: int, most: int) -> int:
    """Delete what has ended; returns how many."""
    async with db.writing() as transaction:
        return await store_vault.delete_before(transaction, now_ms, most)


async def destroy_years(db: Database, now_ms: int) -> list[int]:
    """Destroy the keys of years that are over and seal nothing any more; returns the years."""
    owners = await asyncio.to_thread(db.keyring.owners, prefix=store_vault.PREFIX)
    async with db.writing() as transaction:
        years = await store_vault.empty_years(transaction, owners, year_of(now_ms))
        for year in years:
            await audit.append(transaction, SYSTEM, "vault.destroy", None, now_ms,
                               details={"year": year})
    for year in years:
        await db.keyring.destroy(f"vault:{year}")
    return years


def view(item: Item) -> dict[str, object]:
    """A copy as JSON shows it."""
    return {"id": item.id, "account": item.account, "kind": item.kind,
            "until": rfc3339(item.until_ms), "stored_at": rfc3339(item.stored_at_ms),
            "content": dict(item.content)}
