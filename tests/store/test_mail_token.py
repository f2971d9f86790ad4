"""Mailed tokens as rows: used once, what they will change is sealed."""

from __future__ import annotations

from relayd.core.mail_token import MailToken
from relayd.store import mail_token
from relayd.store.db import Database
from tests.fakes.holders import two

DIGEST = b"d" * 32


async def test_kept_found_used_once_and_swept(db: Database) -> None:
    mine, other = await two(db)
    token = MailToken(mine, "email_new", 10, 20, value="new@example.org")
    async with db.writing() as transaction:
        await mail_token.insert(transaction, token, DIGEST)
        assert await mail_token.find(transaction, DIGEST) == token
        assert await mail_token.find(transaction, b"x" * 32) is None
        assert await mail_token.of_account(transaction, mine, "email_new") == token
        assert await mail_token.of_account(transaction, mine, "email_old") is None
        assert await mail_token.use(transaction, DIGEST, 15)
        assert not await mail_token.use(transaction, DIGEST, 16)
        found = await mail_token.find(transaction, DIGEST)
        assert found is not None and found.used_at_ms == 15
        assert await mail_token.sweep(transaction, 19, 9) == 0
        assert await mail_token.delete(transaction, other, "email_new") == 0
        assert await mail_token.sweep(transaction, 20, 9) == 1
    await db.checkpoint()
    assert b"new@example.org" not in (db.directory / "relayd.db").read_bytes()


async def test_one_of_several_is_found_used_and_deleted(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        for number, (account, purpose, at_ms) in enumerate((
                (mine, "reset", 10), (mine, "reset", 30), (mine, "reset", 20),
                (mine, "verify", 40), (other, "reset", 50))):
            token = MailToken(account, purpose, at_ms, at_ms + 9)  # type: ignore[arg-type]
            await mail_token.insert(transaction, token, bytes([number]) * 32)
        newest = await mail_token.of_account(transaction, mine, "reset")
        assert newest is not None and newest.created_at_ms == 30
        assert await mail_token.use(transaction, bytes([1]) * 32, 31)
        used = [(await mail_token.find(transaction, bytes([number]) * 32)) for number in range(5)]
        assert [each and each.used_at_ms for each in used] == [None, 31, None, None, None]
        assert await mail_token.delete(transaction, mine, "reset", "email_old") == 3
        assert await mail_token.of_account(transaction, mine, "verify") is not None
        assert await mail_token.of_account(transaction, other, "reset") is not None
