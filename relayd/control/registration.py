"""Registration: an account from an address, a username, a password and consents; verifying it.

Law: nothing else is asked for. The answer does not tell whether an address has an account: whoever
reads its mailbox is told. A registration that is not verified is gone after a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from relayd.control import account as control_account
from relayd.control import audit, consent, mail, mail_token, session
from relayd.control import password as control_password
from relayd.control.account import ID_PREFIX
from relayd.control.door import Caller, Door, new_id
from relayd.control.session import Opened
from relayd.core.account import (
    Account, Language, advance, check_email, check_label, folded,
)
from relayd.core.consent import REQUIRED, Channel
from relayd.core.errors import RelayError
from relayd.core.holder import USERNAME_CHARS_MAX, Holder
from relayd.core.timestamp import HOUR_MS
from relayd.ops.clock import monotonic
from relayd.store import account as store_account
from relayd.store import holder as store_holder
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.transaction import Transaction

UNVERIFIED_MS: Final = 24 * HOUR_MS
BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody fills in. `old_enough` is their statement; `agreed` are items by name."""

    email: str = field(repr=False)
    username: str = field(repr=False)
    password: str = field(repr=False)
    old_enough: bool
    agreed: frozenset[str]
    language: Language = "en"


async def register(door: Door, wish: Registration, caller: Caller, now_ms: int) -> None:
    """Make an account that is to be verified, and mail a link to its address.

    Where the address has an account already its owner gets a mail instead. Raises
    `invalid_email`, `mail_disposable`, `invalid_value`,
    `weak_password`, `age_not_stated`, `consent_required`,
    `username_taken`, `sign_in_slowed` or `sign_in_busy`.
    """
    began = monotonic()
    wish = replace(wish, email=check_email(wish.email), username=check_username(wish.username))
    if not wish.old_enough:
        raise RelayError("age_not_stated", param="old_enough")
    for item in REQUIRED:
        if item not in wish.agreed:
            raise RelayError("consent_required", param=item)
    if door.unwelcome(wish.email):
        raise RelayError("mail_disposable", param="email")
    door.ask(f"register {folded(wish.email)}", caller, now_ms)
    hashed = await control_password.hashed(
        door, wish.password, (wish.email, wish.username))
    async with door.db.writing() as transaction:
        known = await store_account.find(transaction, wish.email)
        stale = known if known is not None and known.state == "unverified" else None
        if stale is not None:
            # whoever it was, they have not read this mailbox
            await _discard(transaction, stale.id, now_ms)
            known = None
        if await store_account.named(transaction, wish.username):
            raise RelayError("username_taken", param="username")
        if known is not None:
            await mail.post(transaction, "email_known", known.id,
                            {"link": door.link("/sign-in")}, now_ms)
        else:
            await _make(door, transaction, wish, (hashed, caller), now_ms)
    if stale is not None:
        await door.db.keyring.destroy(stale.id)
    await door.steady(began)


async def _make(
    door: Door, transaction: Transaction, wish: Registration, by: tuple[str, Caller], now_ms: int,
) -> None:
    hashed, caller = by
    account = Account(
        id=new_id(ID_PREFIX, now_ms), email=wish.email, name=None, state="unverified",
        created_at_ms=now_ms, username=wish.username, state_since_ms=now_ms,
        language=wish.language)
    await store_account.insert(transaction, account)
    await store_holder.put(transaction, Holder(account.id, hashed, now_ms, now_ms, now_ms))
    channel: Channel = "api" if caller.via == "api" else "console"
    await consent.register(transaction, account.id, wish.agreed, (wish.language, channel), now_ms)
    await audit.append(transaction, caller.actor(account.id), "account.create", account.id, now_ms)
    await ask_to_verify(door, transaction, account.id, now_ms)


async def ask_to_verify(
    door: Door, transaction: Transaction, account_id: str, now_ms: int
) -> None:
    """Mail an account's address a link that verifies it."""
    token = await mail_token.issue(transaction, account_id, "verify", now_ms)
    await mail.post(transaction, "verify_email", account_id, {
        "link": door.link("/verify", token), "minutes": mail_token.minutes("verify")}, now_ms)


async def verify(door: Door, token: str, caller: Caller, now_ms: int) -> Opened:
    """The address is its holder's: the account is active, and signed in.

    Raises `token_not_usable`.
    """
    async with door.db.writing() as transaction:
        used = await mail_token.use(transaction, token, "verify", now_ms)
        account = await store_account.get(transaction, used.account)
        state = advance(account.state, "verify")
        await store_account.update(
            transaction, replace(account, state=state, state_since_ms=now_ms))
        await bump_policy_version(transaction)
        await audit.append(
            transaction, caller.actor(account.id), "account.verify", account.id, now_ms)
        return await session.start(transaction, account.id, "link", caller, now_ms)


def check_username(text: str) -> str:
    """A username; one that holds an @ could be taken for an address. Raises `invalid_value`."""
    text = check_label(text, "username", USERNAME_CHARS_MAX)
    if "@" in text or text.startswith(ID_PREFIX):
        raise RelayError("invalid_value", param="username")
    return text


async def _discard(transaction: Transaction, account_id: str, now_ms: int) -> None:
    """An unverified account goes: its rows, and what it said."""
    account = await store_account.get(transaction, account_id)
    await store_holder.forget(transaction, account_id)
    await control_account.empty(transaction, account, now_ms)


async def sweep(db: Database, now_ms: int, term_ms: int = UNVERIFIED_MS) -> int:
    """Erase registrations that nobody verified in time, at most a batch; returns how many."""
    async with db.writing() as transaction:
        found = await store_holder.unverified(transaction, now_ms - term_ms, BATCH)
        for account_id in found:
            await _discard(transaction, account_id, now_ms)
    for account_id in found:
        await db.keyring.destroy(account_id)
    return len(found)
