"""Roles: give, take, list; and an operator's leave to see somebody's personal data.

Law: an operator sees addresses masked. Seeing one takes a reason, lasts 15 minutes, is in the
audit log, and its owner is told. Whoever gives roles gives none to themselves in the console.
"""

from __future__ import annotations

from typing import Final

from relayd.control import audit, mail
from relayd.core.account import Account
from relayd.core.actor import ROLES, Actor, Role
from relayd.core.errors import RelayError
from relayd.core.mask import masked
from relayd.core.timestamp import rfc3339
from relayd.store import account as store_account
from relayd.store import role as store_role
from relayd.store import session as store_session
from relayd.store.db import Database
from relayd.store.transaction import Transaction

REVEAL_MS: Final = 15 * 60_000
LOOKERS: Final[tuple[Role, ...]] = ("support", "security", "legal")
"""Roles that may ask to see personal data."""


def check_role(text: str) -> Role:
    """The role of this name. Raises `invalid_value`."""
    for role in ROLES:
        if role == text:
            return role
    raise RelayError("invalid_value", param="role")


async def give(db: Database, actor: Actor, who: str, role: Role, now_ms: int) -> bool:
    """Give an account a role; False where it has it. Its sessions end: none grows unawares.

    Raises `account_state` or `role_needed`.
    """
    async with db.writing() as transaction:
        account = await _allowed(transaction, actor, who)
        if account.state != "active":
            raise RelayError("account_state", param="account")
        given = await store_role.give(transaction, account.id, role, actor.account, now_ms)
        if given:
            await store_session.delete_all(transaction, account.id)
            await audit.append(transaction, actor, "role.give", account.id, now_ms,
                               details={"role": role})
    return given


async def take(db: Database, actor: Actor, who: str, role: Role, now_ms: int) -> bool:
    """Take a role from an account, and end its sessions; False where it has it not."""
    async with db.writing() as transaction:
        account = await _allowed(transaction, actor, who)
        taken = await store_role.take(transaction, account.id, role)
        if taken:
            await store_session.delete_all(transaction, account.id)
            await audit.append(transaction, actor, "role.take", account.id, now_ms,
                               details={"role": role})
    return taken


async def _allowed(transaction: Transaction, actor: Actor, who: str) -> Account:
    account = await store_account.known(transaction, who)
    if not actor.has("owner") or actor.account == account.id:
        raise RelayError("role_needed")
    return account


async def listing(db: Database) -> list[tuple[Account, tuple[Role, ...]]]:
    """Every operator with their roles."""
    found: dict[str, list[Role]] = {}
    async with db.reading() as transaction:
        for account_id, role, _ in await store_role.listing(transaction):
            found.setdefault(account_id, []).append(role)
        return [(await store_account.known(transaction, account_id), tuple(roles))
                for account_id, roles in found.items()]


async def reveal(
    db: Database, actor: Actor, account_id: str, reason: str, now_ms: int, link: str
) -> int:
    """Let an operator see an account's personal data for a while; returns until when.

    Raises `role_needed` or `reason_missing`.
    """
    if actor.account is None or not actor.has(*LOOKERS):
        raise RelayError("role_needed")
    until_ms = now_ms + REVEAL_MS
    async with db.writing() as transaction:
        account = await store_account.get(transaction, account_id)
        await audit.append(
            transaction, actor, "personal.look", account.id, now_ms, reason=reason)
        await store_role.reveal(transaction, actor.account, account.id, until_ms)
        if account.email is not None:
            await mail.post(transaction, "data_seen", account.id, {
                "at": rfc3339(now_ms), "role": "/".join(sorted(actor.roles)),
                "reason": reason.strip(), "link": link}, now_ms)
    return until_ms


async def shown_email(
    transaction: Transaction, actor: Actor, account: Account, now_ms: int
) -> str | None:
    """An account's address as this operator may see it now: masked, unless they may."""
    if account.email is None:
        return None
    may = actor.account is not None and await store_role.revealed(
        transaction, actor.account, account.id, now_ms)
    return account.email if may else masked(account.email)
