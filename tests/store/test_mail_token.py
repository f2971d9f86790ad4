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
