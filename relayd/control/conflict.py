"""Conflicts of interest: refuse what an operator may not do to this account, and say so.

Law: whatever is refused for whose account it is, is in the audit log with what was tried.
"""

from __future__ import annotations

from relayd.control import audit
from relayd.core.actor import Actor
from relayd.core.conflict import is_own, verdict
from relayd.core.errors import RelayError
from relayd.store import account as store_account
from relayd.store import role as store_role
from relayd.store.db import Database
from relayd.store.transaction import Transaction


async def note(
    transaction: Transaction, actor: Actor, account_id: str, tried: tuple[str, str], now_ms: int,
) -> None:
    """Keep that something was refused: `tried` is the action and the error's code."""
    action, code = tried
    await audit.append(transaction, actor, "conflict.refuse", account_id, now_ms,
                       details={"action": action, "code": code})


async def judge_own(db: Database, actor: Actor, who: str, action: str, now_ms: int) -> None:
    """Raises `own_account` for an operator whose own account this is."""
    if actor.account is None:
        return
    who = who.strip()  # as it is when the account is looked up
    if "@" in who:
        async with db.reading() as transaction:
            who = (await store_account.known(transaction, who)).id
    if is_own(actor, who):
        await refuse(db, actor, who, (action, "own_account"), now_ms)


async def refuse(
    db: Database, actor: Actor, account_id: str, tried: tuple[str, str], now_ms: int,
) -> None:
    """Keeps that it was tried, in a transaction of its own, and raises the error."""
    async with db.writing() as transaction:
        await note(transaction, actor, account_id, tried, now_ms)
    raise RelayError(tried[1], param="account")


async def of(transaction: Transaction, actor: Actor, account_id: str) -> str | None:
    """The code of what is in the way of moving an account; None where nothing is."""
    return verdict(actor, account_id, await store_role.of_account(transaction, account_id))
