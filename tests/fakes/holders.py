"""Accounts for tests of rows that belong to one."""

from __future__ import annotations

from relayd.control import account
from relayd.store.db import Database
from tests.fakes.records import START_MS


async def two(db: Database) -> tuple[str, str]:
    """The ids of two new accounts."""
    first = await account.create(db, "one@example.org", None, START_MS)
    second = await account.create(db, "two@example.org", None, START_MS + 1)
    return first.id, second.id
