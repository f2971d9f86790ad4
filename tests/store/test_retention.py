"""What sweeps did, as rows."""

from __future__ import annotations

from relayd.store import retention
from relayd.store.db import Database
from relayd.store.retention import Swept


async def test_the_last_and_all(db: Database) -> None:
    async with db.writing() as transaction:
        assert await retention.swept(transaction) == {}
        await retention.note(transaction, "tickets", 3, 10)
        await retention.note(transaction, "tickets", 2, 20)
        await retention.note(transaction, "orders", 0, 20)
        assert await retention.swept(transaction) == {
            "tickets": Swept(20, 2, 5), "orders": Swept(20, 0, 0)}
