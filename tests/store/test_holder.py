"""Holders as rows: the hash is sealed, what is forgotten is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.holder import Holder
from relayd.core.mail_token import MailToken
from relayd.core.totp import Totp
from relayd.store import holder, mail_token, role, totp
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.holders import two
from tests.fakes.records import START_MS

HASH = "$argon2id$v=19$m=1,t=1,p=1$canary$canary"


async def test_kept_and_found(db: Database) -> None:
    mine, other = await two(db)
    kept = Holder(mine, HASH, START_MS, START_MS, START_MS)
    async with db.writing() as transaction:
        await holder.put(transaction, kept)
        assert await holder.find(transaction, mine) == kept
        assert await holder.find(transaction, other) is None
        changed = replace(kept, password=None, password_at_ms=None, dormant_steps=2)
        await holder.put(transaction, changed)
        assert await holder.find(transaction, mine) == changed
        await holder.seen(transaction, mine, START_MS + 5)
        found = await holder.find(transaction, mine)
    assert found is not None and (found.seen_at_ms, found.dormant_steps) == (START_MS + 5, 0)


async def test_D2_a_hash_moved_to_another_row_does_not_open(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for each in (mine, other):
            await holder.put(transaction, Holder(each, HASH, 1, 1, 1))
        await transaction.run(
            "UPDATE holders SET password = (SELECT password FROM holders WHERE account_id = ?)"
            " WHERE account_id = ?", (mine, other))
    async with db.reading() as transaction:
        with pytest.raises(StoreError) as caught:
            await holder.find(transaction, other)
    assert caught.value.code == "seal_broken"


async def test_forgotten_is_gone_from_every_table(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for each in (mine, other):
            await holder.put(transaction, Holder(each, HASH, 1, 1, 1))
            await totp.put(transaction, Totp(each, bytes(20), True, 1, 1))
            await totp.put_codes(transaction, each, [each.encode().ljust(32)[-32:]])
            await mail_token.insert(
                transaction, MailToken(each, "reset", 1, 2), each.encode().ljust(32)[-32:])
            await role.give(transaction, each, "support", None, 1)
        await role.reveal(transaction, mine, other, 5)
        await role.reveal(transaction, other, mine, 5)
        assert await holder.forget(transaction, mine) == 7
        for table in holder.OF_A_HOLDER:
            assert await transaction.rows(
                f"SELECT * FROM {table} WHERE account_id = ?", (mine,)) == []
        assert await holder.find(transaction, other) is not None


async def test_who_was_not_seen_for_long(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        await holder.put(transaction, Holder(mine, None, None, None, 100))
        await holder.put(transaction, Holder(other, None, None, None, 200))
    async with db.reading() as transaction:
        assert await holder.dormant(transaction, 99, "", 9) == []
        found = await holder.dormant(transaction, 200, "", 1)
        assert [(each.account, call_ms) for each, call_ms in found] == [(mine, 0)]
        found = await holder.dormant(transaction, 200, mine, 1)
        assert [each.account for each, _ in found] == [other]
