"""The legal vault as rows: sealed under the year of their end."""

from __future__ import annotations

import pytest

from relayd.core.retention import year_end_ms
from relayd.core.vault import Item
from relayd.store import vault
from relayd.store.db import Database
from relayd.store.directory import StoreError

END_MS = year_end_ms(2029) - 5
ITEM = Item("vlt_1", "acct_1", "invoice", END_MS, 7, {"number": "12345", "title": "Zeisig Ltd"})


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await vault.insert(transaction, ITEM)


async def test_what_is_kept_comes_back_and_is_sealed(db: Database) -> None:
    await kept(db)
    async with db.reading() as transaction:
        assert await vault.listing(transaction, "acct_1") == [ITEM]
        assert await vault.listing(transaction, "acct_2") == []
        [(year, content)] = await transaction.rows("SELECT year, content FROM legal_vault")
    assert year == 2029 and b"Zeisig" not in content


async def test_its_year_s_key_opens_it(db: Database) -> None:
    await kept(db)
    await db.keyring.destroy("vault:2029")
    async with db.reading() as transaction:
        with pytest.raises(StoreError) as caught:
            await vault.listing(transaction, "acct_1")
    assert caught.value.code == "data_key_gone"


async def test_a_year_is_empty_when_nothing_of_it_is_left(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        owners = ["vault:2029"]
        assert await vault.empty_years(transaction, owners, 2040) == []
        assert await vault.delete_before(transaction, END_MS - 1, 9) == 0
        assert await vault.delete_before(transaction, END_MS, 9) == 1
        assert await vault.empty_years(transaction, owners, 2029) == []
        assert await vault.empty_years(transaction, owners, 2030) == [2029]
