"""Sessions: start, recognise, renew, list, end.

Law: a token leaves here once, in `Opened`. A session that gains rights goes on under a new token,
so that one that was seen before is worth nothing after.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from relayd.control import audit
from relayd.control.door import Caller, new_id
from relayd.core.account import Account
from relayd.core.actor import Actor, Role
from relayd.core.errors import RelayError
from relayd.core.session import (
    TOKEN_BYTES, TOUCH_MS, Method, Session, alive, digest, ends_at_ms, looks_valid, mint,
)
from relayd.core.timestamp import rfc3339
from relayd.store import account as store_account
from relayd.store import holder as store_holder
from relayd.store import role as store_role
from relayd.store import session as store_session
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Transaction

ID_PREFIX: Final = "sess_"
SESSIONS_MAX: Final = 30
"""Sessions of one account; the one longest unused makes room. Those that wait for a second factor
are counted apart: whoever has the password alone ends nobody's session."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and its token, which is told once."""

    session: Session
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """Whose session it is, and what they may do."""

    session: Session
    account: Account
    roles: frozenset[Role]

    def actor(self, caller: Caller) -> Actor:
        """The holder as the audit log names them."""
        return Actor(self.account.id, self.roles, caller.via)


async def start(
    transaction: Transaction, account_id: str, method: Method, caller: Caller, now_ms: int,
    **more: Any,
) -> Opened:
    """A new session. `more` are fields of Session, such as its stage."""
    token = mint(secrets.token_bytes(TOKEN_BYTES))
    session = Session(
        id=new_id(ID_PREFIX, now_ms), account=account_id, method=method, device=caller.device,
        address=caller.address, created_at_ms=now_ms, used_at_ms=now_ms, proved_at_ms=now_ms,
        **{"stage": "open", **more})
    alike = [old for old in await store_session.listing(transaction, account_id)
             if old.stage == session.stage]
    for old in alike[SESSIONS_MAX - 1:]:
        await store_session.delete(transaction, account_id, old.id)
    await store_session.insert(transaction, session, digest(token))
    return Opened(session, token)


async def renew(
    transaction: Transaction, session: Session, now_ms: int, **changes: Any
) -> Opened:
    """The session with more rights, under a new token; the old one is worth nothing now.

    Raises `session_ended` for one that was ended meanwhile: what it is renewed for is not done.
    """
    token = mint(secrets.token_bytes(TOKEN_BYTES))
    renewed = replace(session, used_at_ms=now_ms, proved_at_ms=now_ms, **changes)
    if not await store_session.replace(transaction, renewed, digest(token)):
        raise RelayError("session_ended")
    return Opened(renewed, token)


async def recognise(db: Database, token: str, now_ms: int) -> Signed | None:
    """Whose token this is; None where it is nobody's, or the session has ended. An account that
    can be read no more is nobody's: no page would open to its browser, nor the one to sign in."""
    if not looks_valid(token):
        return None
    try:
        async with db.reading() as transaction:
            found = await _signed(transaction, token, now_ms)
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        return None
    if found is not None and now_ms - found.session.used_at_ms >= TOUCH_MS:
        async with db.writing() as transaction:
            await store_session.used(transaction, found.session.id, now_ms)
            await store_holder.seen(transaction, found.account.id, now_ms)
    return found


async def _signed(transaction: Transaction, token: str, now_ms: int) -> Signed | None:
    session = await store_session.find(transaction, digest(token))
    if session is None or not alive(session, now_ms):
        return None
    account = await store_account.get(transaction, session.account)
    roles = await store_role.of_account(transaction, account.id)
    return None if account.state == "erased" else Signed(session, account, roles)


async def listing(db: Database, account_id: str, now_ms: int) -> list[Session]:
    """An account's sessions that have not ended, the last used first."""
    async with db.reading() as transaction:
        found = await store_session.listing(transaction, account_id)
    return [session for session in found if alive(session, now_ms)]


async def end(db: Database, actor: Actor, account_id: str, session_id: str, now_ms: int) -> None:
    """End one session of an account, at once. Raises `session_not_found`."""
    async with db.writing() as transaction:
        if not await store_session.delete(transaction, account_id, session_id):
            raise RelayError("session_not_found", param="session")
        await audit.append(transaction, actor, "session.end", account_id, now_ms,
                           details={"session": session_id})


async def end_all(
    db: Database, actor: Actor, account_id: str, now_ms: int, but: str | None = None
) -> int:
    """End every session of an account, save one; returns how many ended."""
    async with db.writing() as transaction:
        ended = await store_session.delete_all(transaction, account_id, but)
        if ended:
            await audit.append(transaction, actor, "session.end", account_id, now_ms,
                               details={"sessions": ended})
    return ended


def view(session: Session, current: str | None = None) -> dict[str, object]:
    """The session as JSON shows it to its owner."""
    return {
        "id": session.id,
        "device": session.device,
        "address": session.address,
        "method": session.method,
        "stage": session.stage,
        "two_factors": session.two_factors,
        "created_at": rfc3339(session.created_at_ms),
        "used_at": rfc3339(session.used_at_ms),
        "ends_at": rfc3339(ends_at_ms(session)),
        "current": session.id == current,
    }
