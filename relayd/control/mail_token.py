"""Mailed tokens: issue, look at, use.

Law: looking at a token does not use it: programs that check mails follow links too. It is used
when its page is sent.
"""

from __future__ import annotations

import secrets

from relayd.core.errors import RelayError
from relayd.core.mail_token import LIFE_MS, TOKEN_BYTES, MailToken, Purpose, mint, usable
from relayd.core.session import digest
from relayd.core.timestamp import MINUTE_MS
from relayd.store import mail_token as store_mail_token
from relayd.store.db import Database
from relayd.store.transaction import Transaction


async def issue(
    transaction: Transaction, account_id: str, purpose: Purpose, now_ms: int,
    value: str | None = None,
) -> str:
    """A new token's text; the account's earlier ones of this purpose end."""
    await store_mail_token.delete(transaction, account_id, purpose)
    text = mint(secrets.token_bytes(TOKEN_BYTES))
    token = MailToken(account_id, purpose, now_ms, now_ms + LIFE_MS[purpose], None, value)
    await store_mail_token.insert(transaction, token, digest(text))
    return text


async def look(db: Database, text: str, purpose: Purpose, now_ms: int) -> MailToken:
    """The token, unused. Raises `token_not_usable`."""
    async with db.reading() as transaction:
        return await _usable(transaction, text, purpose, now_ms)


async def use(
    transaction: Transaction, text: str, purpose: Purpose, now_ms: int
) -> MailToken:
    """The token, which is used up now. Raises `token_not_usable`."""
    found = await _usable(transaction, text, purpose, now_ms)
    if not await store_mail_token.use(transaction, digest(text), now_ms):
        raise RelayError("token_not_usable")
    return found


async def _usable(
    transaction: Transaction, text: str, purpose: Purpose, now_ms: int
) -> MailToken:
    found = await store_mail_token.find(transaction, digest(text))
    if found is None or not usable(found, purpose, now_ms):
        raise RelayError("token_not_usable")
    return found


def minutes(purpose: Purpose) -> str:
    """A purpose's life, as mails say it."""
    return str(LIFE_MS[purpose] // MINUTE_MS)
