"""Registration: an account from an address, a username, a password and consents; verifying it.

Law: nothing else is asked for. The answer does not tell whether an address has an account: whoever
reads its mailbox is told. An account is active once the same person reads the mailbox and chose
the password. A registration that is not verified is gone after a day.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import Final

from relayd.control import account as control_account
from relayd.control import audit, consent, mail, mail_token, session
from relayd.control import password as control_password
from relayd.control.account import ID_PREFIX
from relayd.control.door import Caller, Door, new_id
from relayd.control.mail import To
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
from relayd.store import passkey as store_passkey
from relayd.store import session as store_session
from relayd.store import totp as store_totp
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.secret import derived
from relayd.store.transaction import Transaction

UNVERIFIED_MS: Final = 24 * HOUR_MS
BATCH: Final = 100
MARK_LABEL: Final = "who registered"


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody fills in. `old_enough` is their statement; `agreed` are items by name."""

    email: str = field(repr=False)
    username: str = field(repr=False)
    password: str = field(repr=False)
    old_enough: bool
    agreed: frozenset[str]
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that who follows the link has registered: the mark that their browser was given,
    or the password."""

    mark: str = field(repr=False, default="")
    password: str = field(repr=False, default="")


async def register(door: Door, wish: Registration, caller: Caller, now_ms: int) -> str:
    """Make an account that is to be verified, and mail a link to its address; returns a mark by
    which whoever did it is known again.

    Where the address has an account already its owner gets a mail instead, and the mark is
    nobody's. Raises
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
    made = new_id(ID_PREFIX, now_ms)
    async with door.db.writing() as transaction:
        known = await store_account.holding(transaction, wish.email)
        stale = known if known is not None and known.state == "unverified" else None
        if stale is not None:
            # whoever it was, they have not read this mailbox
            await discard(transaction, stale.id, now_ms)
            known = None
        await claim_username(transaction, wish.username)
        if known is not None:
            await tell_known(door, transaction, known, To(wish.email, wish.language), now_ms)
        else:
            await _make(door, transaction, wish, (made, hashed, caller), now_ms)
    if stale is not None:
        await door.db.keyring.destroy(stale.id)
    await door.steady(began)
    return _mark(door, made)


async def tell_known(
    door: Door, transaction: Transaction, known: Account, to: To, now_ms: int
) -> None:
    """Write to whoever reads a mailbox that it has an account; `to` it where that can be read no
    more: nothing is sealed by its key then."""
    lost = known.email is None
    await mail.post(transaction, "email_known", None if lost else known.id,
                    {"link": door.link("/sign-in")}, now_ms, to if lost else None)


async def _make(
    door: Door, transaction: Transaction, wish: Registration, by: tuple[str, str, Caller],
    now_ms: int,
) -> None:
    account_id, hashed, caller = by
    account = Account(
        id=account_id, email=wish.email, name=None, state="unverified",
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


async def remind(door: Door, account_id: str, now_ms: int) -> None:
    """Mail another link, if the account is still to be verified."""
    async with door.db.writing() as transaction:
        account = await store_account.find(transaction, account_id)
        if account is not None and account.state == "unverified":
            await ask_to_verify(door, transaction, account_id, now_ms)


def _mark(door: Door, account_id: str) -> str:
    """Known to the browser that made this account, and to no mailbox."""
    return hmac.digest(
        derived(door.db.secret, MARK_LABEL), account_id.encode("ascii"), "sha256").hex()


def _is_marked(door: Door, account_id: str, mark: str) -> bool:
    return hmac.compare_digest(
        _mark(door, account_id).encode("ascii"), mark.encode("utf-8", "replace"))


async def is_known(door: Door, token: str, mark: str, now_ms: int) -> bool:
    """Whether a mailed link is of the account that this browser made; nothing is used up."""
    try:
        found = await mail_token.look(door.db, token, "verify", now_ms)
    except RelayError:
        return False
    return _is_marked(door, found.account, mark)


async def verify(
    door: Door, token: str, proof: Proof, caller: Caller, now_ms: int
) -> Opened:
    """The address is its holder's, and the password is theirs: the account is active, and they are
    signed in. Whoever reads the mailbox and knows no password registers anew.

    Raises `token_not_usable`, `wrong_credentials`, `sign_in_slowed` or `sign_in_busy`.
    """
    found = await mail_token.look(door.db, token, "verify", now_ms)
    if not _is_marked(door, found.account, proof.mark):
        await _judge_password(door, found.account, proof.password, caller, now_ms)
    async with door.db.writing() as transaction:
        used = await mail_token.use(transaction, token, "verify", now_ms)
        account = await store_account.get(transaction, used.account)
        state = advance(account.state, "verify")
        await _end_ways_in(transaction, account.id)
        await store_account.update(
            transaction, replace(account, state=state, state_since_ms=now_ms))
        await bump_policy_version(transaction)
        await audit.append(
            transaction, caller.actor(account.id), "account.verify", account.id, now_ms)
        return await session.start(transaction, account.id, "link", caller, now_ms)


async def _end_ways_in(transaction: Transaction, account_id: str) -> None:
    """Sessions and second factors of before: nobody could make any, so that these are nobody's."""
    await store_session.delete_all(transaction, account_id)
    await store_totp.delete(transaction, account_id)
    for passkey in await store_passkey.listing(transaction, account_id):
        await store_passkey.delete(transaction, account_id, passkey.id)


async def _judge_password(
    door: Door, account_id: str, text: str, caller: Caller, now_ms: int
) -> None:
    async with door.db.reading() as transaction:
        account = await store_account.get(transaction, account_id)
    try:
        right = bool(text) and await control_password.is_right(
            door, account, text, caller, now_ms, favoured=False)
    except RelayError as error:
        if error.code != "weak_password":
            raise
        right = False
    if not right:
        raise RelayError("wrong_credentials", param="password")


def check_username(text: str) -> str:
    """A username; one that holds an @ could be taken for an address, and one with what is not seen
    for another's. Raises `invalid_value`."""
    text = check_label(text, "username", USERNAME_CHARS_MAX)
    if "@" in text or text.startswith(ID_PREFIX) or not text.isprintable():
        raise RelayError("invalid_value", param="username")
    return text


async def claim_username(
    transaction: Transaction, username: str, account_id: str | None = None
) -> None:
    """Nobody else has this username now. Raises `username_taken`.

    A registration that is not verified holds none: otherwise who signs up with another person's
    address learned, by trying the same username once more, whether it has an account.
    """
    other = await store_account.named(transaction, username)
    if other is None or other.id == account_id:
        return
    if other.state != "unverified":
        raise RelayError("username_taken", param="username")
    await store_account.free_username(transaction, other.id)


async def discard(transaction: Transaction, account_id: str, now_ms: int) -> None:
    """An unverified account goes: its rows, and what it said. The caller destroys its key."""
    account = await store_account.known(transaction, account_id)
    await store_holder.forget(transaction, account_id)
    await control_account.empty(transaction, account, now_ms)


async def sweep(db: Database, now_ms: int, term_ms: int = UNVERIFIED_MS) -> int:
    """Erase registrations that nobody verified in time, at most a batch; returns how many."""
    async with db.writing() as transaction:
        found = await store_holder.unverified(transaction, now_ms - term_ms, BATCH)
        for account_id in found:
            await discard(transaction, account_id, now_ms)
    for account_id in found:
        await db.keyring.destroy(account_id)
    return len(found)
