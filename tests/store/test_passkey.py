"""Passkeys as rows: found by a keyed hash, all else sealed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.passkey import Passkey
from relayd.store import passkey
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.holders import two


async def test_kept_found_used_and_deleted(db: Database) -> None:
    mine, other = await two(db)
    made = Passkey("pk_1", mine, b"zeisig-credential", b"zeisig-public", "zeisig phone", 1, 5)
    async with db.writing() as transaction:
        await passkey.insert(transaction, made)
        assert await passkey.find(transaction, b"zeisig-credential") == made
        assert await passkey.find(transaction, b"another") is None
        assert await passkey.listing(transaction, mine) == [made]
        await passkey.used(transaction, "pk_1", 9, 50)
        [found] = await passkey.listing(transaction, mine)
        assert (found.sign_count, found.used_at_ms) == (9, 50)
        assert await passkey.delete(transaction, other, "pk_1") == 0
    await db.checkpoint()
    assert b"zeisig" not in (db.directory / "relayd.db").read_bytes()
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await passkey.insert(transaction, Passkey(
                "pk_2", other, b"zeisig-credential", b"p", "n", 0, 5))
    async with db.writing() as transaction:
        assert await passkey.delete(transaction, mine, "pk_1") == 1


async def test_a_challenge_is_answered_once(db: Database) -> None:
    async with db.writing() as transaction:
        assert await passkey.answer(transaction, b"c" * 32, 10)
        assert not await passkey.answer(transaction, b"c" * 32, 11)
        assert await passkey.sweep_answers(transaction, 10) == 0
        assert await passkey.sweep_answers(transaction, 11) == 1


async def test_one_of_several_is_used_and_deleted(db: Database) -> None:
    mine, other = await two(db)
    made = [Passkey(f"pk_{number}", account, b"credential-%d" % number, b"public", "name", 1, 5)
            for number, account in enumerate((mine, mine, other))]
    async with db.writing() as transaction:
        for each in reversed(made):
            await passkey.insert(transaction, each)
        assert await passkey.listing(transaction, mine) == made[:2]
        assert await passkey.used(transaction, "pk_1", 9, 50)
        assert not await passkey.used(transaction, "pk_9", 9, 50)
        changed = replace(made[1], sign_count=9, used_at_ms=50)
        assert await passkey.listing(transaction, mine) == [made[0], changed]
        assert await passkey.delete(transaction, mine, "pk_0") == 1
        assert await passkey.delete(transaction, mine, "pk_2") == 0
        assert await passkey.listing(transaction, mine) == [changed]
        assert await passkey.listing(transaction, other) == [made[2]]
