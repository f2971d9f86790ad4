"""Exposed keys: flag each once, tell its owner by mail, and say which still work.

Law: nobody's key is taken away for it: its owner replaces it, and is told until that is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relayd.control import audit, mail
from relayd.core.actor import SYSTEM
from relayd.core.exposure import Exposure
from relayd.core.key import ApiKey
from relayd.core.timestamp import rfc3339
from relayd.store import account as store_account
from relayd.store import exposure as store_exposure
from relayd.store import key as store_key
from relayd.store.db import Database
from relayd.store.transaction import Transaction

KEYS_PAGE: Final = "/keys"


async def flag(db: Database, found: Sequence[Exposure], console: str, now_ms: int) -> int:
    """Flag keys; returns how many were not flagged before. `console` is its address."""
    flagged = 0
    async with db.writing() as transaction:
        for each in found:
            flagged += await _flag(transaction, each, console, now_ms)
    return flagged


async def _flag(
    transaction: Transaction, exposure: Exposure, console: str, now_ms: int,
) -> bool:
    key = await store_key.find(transaction, exposure.key)
    if key is None or not await store_exposure.insert(transaction, exposure):
        return False
    await audit.append(transaction, SYSTEM, "key.expose", exposure.account, now_ms,
                       details={"key": exposure.key})
    await _tell(transaction, key, exposure, console, now_ms)
    return True


async def _tell(
    transaction: Transaction, key: ApiKey, exposure: Exposure, console: str, now_ms: int,
) -> None:
    owner = await store_account.readable(transaction, exposure.account)
    if owner is not None and owner.email is not None:
        await mail.post(transaction, "key_exposed", owner.id, {
            "key": key.hint, "at": rfc3339(exposure.at_ms), "link": console + KEYS_PAGE}, now_ms)


async def usable(db: Database, account_id: str, now_ms: int) -> list[str]:
    """Hints of an account's exposed keys that still work."""
    async with db.reading() as transaction:
        found = [await store_key.find(transaction, each.key)
                 for each in await store_exposure.usable(transaction, account_id, now_ms)]
    return [key.hint for key in found if key is not None]
