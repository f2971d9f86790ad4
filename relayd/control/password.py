"""Passwords: hash a new one, change it, reset it by a mailed link.

Law: a new password ends every other session and a change of address that waits, and its owner is
told by mail. Asking for a reset answers the same whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from relayd.control import audit, mail, mail_token, session
from relayd.control.door import Caller, Door
from relayd.control.session import Opened
from relayd.core.account import Account, folded
from relayd.core.errors import RelayError
from relayd.core.holder import Holder
from relayd.core.password import check_apart, check_length, check_score, prepared
from relayd.core.session import Session
from relayd.core.timestamp import rfc3339
from relayd.ops.clock import monotonic
from relayd.store import account as store_account
from relayd.store import holder as store_holder
from relayd.store import mail_token as store_mail_token
from relayd.store import session as store_session
from relayd.store.db import Database
from relayd.store.transaction import Transaction

_PARTS: Final = re.compile(r"[^\w]+")


async def hashed(door: Door, text: str, words: Sequence[str | None]) -> str:
    """The hash of a new password. Raises `weak_password`, also for one made of these words."""
    text = check_length(text)
    parts = [part for word in words if word for part in (word, *_PARTS.split(word)) if part]
    check_apart(text, parts)
    check_score(await door.hashing.score(text, parts))
    return await door.hashing.hash(text)


async def known(db: Database, login: str) -> tuple[Account | None, Holder | None]:
    """Who signs in with this e-mail address or username. A username is its account's once that is
    verified (control/registration.py); an account that can be read no more is nobody's."""
    async with db.reading() as transaction:
        find = store_account.readable if "@" in login else store_account.named
        account = await find(transaction, login)
        if account is not None and (
                account.email is None or account.state == "unverified" and "@" not in login):
            account = None
        holder = None if account is None else await store_holder.find(transaction, account.id)
    return account, holder


def typed(login: str) -> str:
    """What attempts to sign in with this address or username are counted by."""
    return f"login {folded(login.strip())}"


async def is_right(
    door: Door, account: Account, text: str, caller: Caller, now_ms: int, *,
    favoured: bool = True,
) -> bool:
    """Whether this is an account's password; `favoured`: asked of somebody who is signed in. Their
    attempts are counted apart: no stranger at the door keeps them from what needs a proof.

    Raises `sign_in_slowed` or `sign_in_busy`.
    """
    who = f"proof {account.id}" if favoured else account.id
    async with door.db.reading() as transaction:
        holder = await store_holder.find(transaction, account.id)
    door.ask(who, caller, now_ms)
    try:
        hash_ = None if holder is None else holder.password
        right = await door.hashing.right(hash_, prepared(text), favoured=favoured)
    except RelayError:
        door.unheard(who, caller, now_ms)
        raise
    if right:
        door.right(who, caller, now_ms)
    return right


async def change(
    door: Door, current: Session, text: str, caller: Caller, now_ms: int
) -> Opened:
    """A new password, by somebody who has just proved who they are; a new token for the session.

    Raises `weak_password` or `sign_in_busy`.
    """
    async with door.db.reading() as transaction:
        account = await store_account.get(transaction, current.account)
    new = await hashed(door, text, (account.email, account.username))
    async with door.db.writing() as transaction:
        await _replace(door, transaction, account, new, now_ms)
        await store_session.delete_all(transaction, account.id, current.id)
        await audit.append(
            transaction, caller.actor(account.id), "password.change", account.id, now_ms)
        return await session.renew(transaction, current, now_ms)


async def _replace(
    door: Door, transaction: Transaction, account: Account, new: str, now_ms: int
) -> None:
    holder = await store_holder.find(transaction, account.id)
    if holder is None:
        holder = Holder(account.id, None, None, None, now_ms)
    await store_holder.put(transaction, replace(holder, password=new, password_at_ms=now_ms))
    # an address that somebody else began to change stays as it is
    await store_mail_token.delete(transaction, account.id, "email_old", "email_new")
    await mail.post(transaction, "password_changed", account.id, {
        "at": rfc3339(now_ms), "link": door.link("/forgot")}, now_ms)


async def forgot(door: Door, email: str, caller: Caller, now_ms: int) -> None:
    """Mail a link for a new password, where there is such an account; the answer is the same.

    Raises `sign_in_slowed`.
    """
    began = monotonic()
    door.ask(f"forgot {folded(email.strip())}", caller, now_ms)
    async with door.db.writing() as transaction:
        account = await store_account.readable(transaction, email) if "@" in email else None
        if account is not None and account.state not in ("unverified", "erased"):
            token = await mail_token.issue(transaction, account.id, "reset", now_ms)
            await mail.post(transaction, "reset_password", account.id, {
                "link": door.link("/reset", token),
                "minutes": mail_token.minutes("reset")}, now_ms)
    await door.steady(began)


async def reset(door: Door, token: str, text: str, caller: Caller, now_ms: int) -> None:
    """Set a new password by a mailed link; every session ends, a locked account opens.

    Second factors stay: whoever reads the mail still needs them. Raises `token_not_usable`,
    `weak_password` or `sign_in_busy`.
    """
    found = await mail_token.look(door.db, token, "reset", now_ms)
    async with door.db.reading() as transaction:
        account = await store_account.get(transaction, found.account)
    new = await hashed(door, text, (account.email, account.username))
    async with door.db.writing() as transaction:
        await mail_token.use(transaction, token, "reset", now_ms)
        await _replace(door, transaction, account, new, now_ms)
        await store_session.delete_all(transaction, account.id)
        await audit.append(
            transaction, caller.actor(account.id), "password.reset", account.id, now_ms)
    for login in (account.email, account.username):
        door.guard.forgive(door.mark(typed(login or "")), door.prefix(caller, now_ms))
