"""Authenticators as rows: the secret is sealed, a recovery code goes when it is used."""

from __future__ import annotations

import base64

from relayd.core.totp import Totp
from relayd.store import totp
from relayd.store.db import Database
from tests.fakes.holders import two

SECRET = b"canary-secret-bytes!"


async def test_kept_changed_and_deleted(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for made in (Totp(mine, SECRET, False, -1, 5), Totp(mine, SECRET, True, 77, 5)):
            await totp.put(transaction, made)
            assert await totp.find(transaction, mine) == made
        assert await totp.find(transaction, other) is None
    await db.checkpoint()
    content = (db.directory / "relayd.db").read_bytes()
    assert SECRET not in content and base64.b64encode(SECRET) not in content
    async with db.writing() as transaction:
        assert await totp.delete(transaction, mine) == 1
        assert await totp.delete(transaction, mine) == 0


async def test_recovery_codes(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        await totp.put_codes(transaction, mine, [b"1" * 32, b"2" * 32])
        assert not await totp.use_code(transaction, other, b"1" * 32)
        assert await totp.use_code(transaction, mine, b"1" * 32)
        assert not await totp.use_code(transaction, mine, b"1" * 32)
        assert await totp.codes_left(transaction, mine) == 1
        await totp.put_codes(transaction, mine, [b"3" * 32])
        assert not await totp.use_code(transaction, mine, b"2" * 32)
        assert await totp.codes_left(transaction, mine) == 1


async def test_another_s_authenticator_and_codes_stay(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for account, digest in ((mine, b"1"), (other, b"2")):
            await totp.put(transaction, Totp(account, SECRET, True, 7, 5))
            await totp.put_codes(transaction, account, [digest * 32, digest * 31 + b"x"])
        await totp.put_codes(transaction, mine, [b"3" * 32])
        assert await totp.codes_left(transaction, other) == 2
        assert await totp.delete(transaction, mine) == 1
        assert await totp.codes_left(transaction, mine) == 0
        assert await totp.codes_left(transaction, other) == 2
        assert await totp.find(transaction, other) == Totp(other, SECRET, True, 7, 5)
