"""The policy version counts, and only with its transaction."""

from __future__ import annotations

import pytest

from relayd.store.db import Database
from relayd.store.meta import bump_policy_version, policy_version


async def test_it_grows_with_the_transaction_that_bumps_it(db: Database) -> None:
    async with db.reading() as transaction:
        before = await policy_version(transaction)
    async with db.writing() as transaction:
        await bump_policy_version(transaction)
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await bump_policy_version(transaction)
            raise ZeroDivisionError
    async with db.reading() as transaction:
        assert await policy_version(transaction) == before + 1
