"""Rows that are handed out as they are: the account's own, with their listed columns."""

from __future__ import annotations

import pytest

from relayd.core.account import Account
from relayd.core.portable import DOCUMENTS
from relayd.store import account, portable, role
from relayd.store.db import Database


@pytest.mark.parametrize("name", list(portable.PLAIN))
async def test_each_can_be_read_and_has_the_schema_s_fields(db: Database, name: str) -> None:
    async with db.reading() as transaction:
        assert [row async for row in portable.rows(transaction, name, "acct_1")] == []
    columns = {portable._NAMES.get(each, each.rpartition(".")[2])
               for each in portable.PLAIN[name].columns}
    assert columns == set(DOCUMENTS[name].fields)


async def test_the_account_s_own_alone(db: Database) -> None:
    async with db.writing() as transaction:
        for who in ("acct_1", "acct_2"):
            await account.insert(
                transaction, Account(who, f"{who}@example.org", None, "active", 0))
        await role.give(transaction, "acct_1", "support", None, 7)
        await role.give(transaction, "acct_2", "legal", None, 7)
        found = [row async for row in portable.rows(transaction, "roles", "acct_1")]
    assert found == [{"role": "support", "given_at_ms": 7}]
