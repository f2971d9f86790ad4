"""Signing in: a password and, where there is one, a second factor; a link of the shell.

Law: a wrong name and a wrong password are the same answer after the same time. What is refused by
the guard is not hashed. Attempts are counted by the name that was typed: if an address and a
username had one count, it would tell that somebody has both. The owner is told of a new device and
of a lock-out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from relayd.control import audit, mail, mail_token, registration, session
from relayd.control import password as control_password
from relayd.control import totp as control_totp
from relayd.control.door import Caller, Door, new_id
from relayd.control.session import Opened
from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.guard import SPAN_MS
from relayd.core.holder import Holder, Outcome, SignIn
from relayd.core.password import prepared
from relayd.core.session import Method, Session
from relayd.core.timestamp import rfc3339
from relayd.ops.clock import monotonic
from relayd.store import account as store_account
from relayd.store import holder as store_holder
from relayd.store import role as store_role
from relayd.store import session as store_session
from relayd.store import sign_in as store_sign_in
from relayd.store.db import Database
from relayd.store.transaction import Transaction

ID_PREFIX: Final = "sign_"
SHOWN_MAX: Final = 50


async def sign_in(door: Door, login: str, text: str, caller: Caller, now_ms: int) -> Opened:
    """A session for an address or username and its password; its stage may be `factor`.

    Who has not verified their address gets another link, and the answer of a wrong password:
    else whoever signs up with another person's address learned here whether it has an account.
    Raises `wrong_credentials`, `sign_in_slowed` or `sign_in_busy`.
    """
    began = monotonic()
    account, holder = await control_password.known(door.db, login)
    who = control_password.typed(login)
    locks = door.ask(who, caller, now_ms)
    try:
        password = prepared(text)
        right = await door.hashing.right(
            None if holder is None else holder.password, password,
            favoured=door.favours(who, caller, now_ms))
    except RelayError as error:
        if error.code != "weak_password":
            door.unheard(who, caller, now_ms)
            raise
        right = False
    if account is None or holder is None or not right or account.state == "unverified":
        if account is not None and right:
            await registration.remind(door, account.id, now_ms)
        elif account is not None:
            await _wrong(door, account, "wrong_password", locks, caller, now_ms)
        await door.steady(began)
        raise RelayError("wrong_credentials")
    door.right(who, caller, now_ms)
    if door.hashing.outdated(holder.password or ""):
        holder = replace(holder, password=await door.hashing.hash(password))
    return await _by_password(door, account, holder, caller, now_ms)


async def _by_password(
    door: Door, account: Account, judged: Holder, caller: Caller, now_ms: int
) -> Opened:
    """`judged`: the holder whose password was right. It takes a while to say so: by now there may
    be another one, and then this one opens nothing and is not written back."""
    async with door.db.writing() as transaction:
        holder = await store_holder.find(transaction, account.id)
        if holder is None or holder.password_at_ms != judged.password_at_ms:
            raise RelayError("wrong_credentials")
        await store_holder.put(
            transaction, replace(holder, password=judged.password, seen_at_ms=now_ms))
        if await control_totp.is_on(transaction, account.id):
            return await session.start(
                transaction, account.id, "password", caller, now_ms, stage="factor")
        opened = await session.start(transaction, account.id, "password", caller, now_ms)
        await complete(door, transaction, opened.session, caller, now_ms)
    return opened


async def second_factor(
    door: Door, pending: Session, code: str, caller: Caller, now_ms: int
) -> Opened:
    """Open a session of stage `factor` by a code of the authenticator, or a recovery code.

    Raises `wrong_code` or `sign_in_slowed`.
    """
    if pending.stage != "factor":
        raise AssertionError("the session is open already")
    who = f"factor {pending.account}"
    locks = door.ask(who, caller, now_ms)
    async with door.db.writing() as transaction:
        method = await control_totp.check(transaction, pending.account, code, now_ms)
        if method is not None:
            opened = await session.renew(
                transaction, pending, now_ms, stage="open", method=method, two_factors=True)
            await complete(door, transaction, opened.session, caller, now_ms)
    if method is None:
        async with door.db.reading() as transaction:
            account = await store_account.get(transaction, pending.account)
        await _wrong(door, account, "wrong_code", locks, caller, now_ms)
        raise RelayError("wrong_code", param="code")
    door.right(who, caller, now_ms)
    return opened


async def by_link(door: Door, token: str, caller: Caller, now_ms: int) -> Opened:
    """A session by a link that the shell printed. Raises `token_not_usable`."""
    async with door.db.writing() as transaction:
        used = await mail_token.use(transaction, token, "sign_in", now_ms)
        stage = "factor" if await control_totp.is_on(transaction, used.account) else "open"
        opened = await session.start(
            transaction, used.account, "link", caller, now_ms, stage=stage)
        if stage == "open":
            await complete(door, transaction, opened.session, caller, now_ms)
    return opened


async def link(db: Database, who: str, now_ms: int) -> str:
    """The token of a link that signs in to an account, once; the shell prints it."""
    async with db.writing() as transaction:
        account = await store_account.get(transaction, who)
        if account.state in ("unverified", "erased"):
            raise RelayError("account_state", param="account")
        if await store_holder.find(transaction, account.id) is None:
            await store_holder.put(transaction, Holder(account.id, None, None, None, now_ms))
        return await mail_token.issue(transaction, account.id, "sign_in", now_ms)


async def complete(
    door: Door, transaction: Transaction, opened: Session, caller: Caller, now_ms: int
) -> None:
    """Somebody is signed in: keep it, and tell the owner where the device is new."""
    known = await store_sign_in.known_device(transaction, opened.account, caller.device)
    await _keep(transaction, opened.account, "signed_in", opened.method, caller, now_ms)
    await store_holder.seen(transaction, opened.account, now_ms)
    if known is False:
        await mail.post(transaction, "new_sign_in", opened.account, {
            "at": rfc3339(now_ms), "device": caller.device,
            "link": door.link("/settings/sessions")}, now_ms)
    roles = await store_role.of_account(transaction, opened.account)
    if roles:  # of operators every session is in the log
        await audit.append(
            transaction, replace(caller.actor(opened.account), roles=roles), "session.start",
            opened.account, now_ms, details={"method": opened.method})


async def _wrong(
    door: Door, account: Account, outcome: Outcome, locks: bool, caller: Caller, now_ms: int,
) -> None:
    """Keep a wrong attempt; the one that locks the account tells its owner."""
    async with door.db.writing() as transaction:
        await _keep(transaction, account.id, outcome, "password", caller, now_ms)
        if locks:
            await _keep(transaction, account.id, "locked_out", "password", caller, now_ms)
            await audit.append(
                transaction, caller.actor(account.id), "signin.lock", account.id, now_ms)
            if account.state != "unverified":
                await mail.post(transaction, "locked_out", account.id, {
                    "at": rfc3339(now_ms), "minutes": str(SPAN_MS // 60_000),
                    "link": door.link("/forgot")}, now_ms)


async def _keep(
    transaction: Transaction, account_id: str, outcome: Outcome, method: Method, caller: Caller,
    now_ms: int,
) -> None:
    await store_sign_in.insert(transaction, SignIn(
        new_id(ID_PREFIX, now_ms), account_id, now_ms, outcome, method, caller.device,
        caller.address))


async def prove(
    door: Door, current: Session, secret: str, caller: Caller, now_ms: int
) -> Opened:
    """Say once more who is there, by the password; the session gets a new token.

    Who has no password uses a code, or a passkey. Raises `wrong_credentials`, `sign_in_slowed`
    or `sign_in_busy`.
    """
    async with door.db.reading() as transaction:
        account = await store_account.get(transaction, current.account)
        holder = await store_holder.find(transaction, account.id)
    if holder is None or holder.password is None:
        who = f"factor {account.id}"
        door.ask(who, caller, now_ms)
        async with door.db.writing() as transaction:
            right = await control_totp.check(transaction, account.id, secret, now_ms) is not None
        if right:
            door.right(who, caller, now_ms)
    else:
        right = await control_password.is_right(door, account, secret, caller, now_ms)
    if not right:
        raise RelayError("wrong_credentials", param="password")
    async with door.db.writing() as transaction:
        return await session.renew(transaction, current, now_ms)


async def sign_out(db: Database, current: Session) -> None:
    """End the session that somebody is in."""
    async with db.writing() as transaction:
        await store_session.delete(transaction, current.account, current.id)


async def latest(db: Database, account_id: str) -> list[SignIn]:
    """An account's latest attempts, right and wrong."""
    async with db.reading() as transaction:
        return await store_sign_in.latest(transaction, account_id, SHOWN_MAX)


def view(sign_in: SignIn) -> dict[str, object]:
    """The attempt as JSON shows it to its owner."""
    return {
        "at": rfc3339(sign_in.at_ms), "outcome": sign_in.outcome, "method": sign_in.method,
        "device": sign_in.device, "address": sign_in.address,
    }
