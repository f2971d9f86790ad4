"""Erases an account at once, as the machine of erasures does it, for tests about what is left."""

from __future__ import annotations

from relayd.control import erasure
from relayd.core.actor import SHELL
from relayd.core.retention import Terms
from relayd.store.db import Database
from relayd.store.signing import Signer

SIGNER = Signer(bytes(32))


async def erase(db: Database, who: str, now_ms: int) -> None:
    """An account, by id or address, is erased."""
    await erasure.at_once(db, erasure.Means(SIGNER, Terms()), SHELL, who, now_ms)
