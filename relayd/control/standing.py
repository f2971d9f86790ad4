"""Standing: suspend, resume, terminate; each tells the holder in the same transaction.

Law: there is no way to suspend or to terminate an account without a reason of the closed list and
a notice with the way to appeal, unless its address can be read no more. What the operator writes
goes into the audit log alone. Whose account an operator may move is said by core/conflict.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from relayd.control import audit, conflict, mail, mail_token
from relayd.core.account import Account, AccountMove, advance
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.standing import REFUND, WORDS, Reason
from relayd.store import account as store_account
from relayd.store import session as store_session
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.transaction import Transaction

Move = Literal["suspend", "resume", "terminate"]


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why, and where the holder may answer: `origin` is the console's, as mails name it.

    `words` are for the audit log; who moves an account by themselves writes some.
    """

    reason: Reason
    origin: str
    words: str | None = field(repr=False, default=None)


async def suspend(
    transaction: Transaction, actor: Actor, who: str, grounds: Grounds, now_ms: int
) -> Account:
    """Its keys work no more until it is resumed. A second time changes nothing."""
    account, moved = await _move(transaction, who, "suspend", grounds.reason, now_ms)
    if moved != account:
        await _tell(transaction, account, "account_suspended", grounds, now_ms)
        await _log(transaction, actor, "account.suspend", account, (grounds, now_ms))
    return moved


async def terminate(
    transaction: Transaction, actor: Actor, who: str, grounds: Grounds, now_ms: int
) -> Account:
    """Its keys and sessions are off for good; it waits for its retention to end."""
    account, moved = await _move(transaction, who, "terminate", grounds.reason, now_ms)
    if moved != account:
        await store_session.delete_all(transaction, account.id)
        await _tell(transaction, account, "account_terminated", grounds, now_ms,
                    refund=REFUND[account.language])
        await _log(transaction, actor, "account.terminate", account, (grounds, now_ms))
    return moved


async def resume(
    transaction: Transaction, actor: Actor, who: str, origin: str, now_ms: int
) -> Account:
    """A suspended account is served again."""
    account, moved = await _move(transaction, who, "resume", None, now_ms)
    if moved != account:
        if account.email is not None:
            await mail.post(transaction, "account_resumed", account.id,
                            {"link": f"{origin.rstrip('/')}/"}, now_ms)
        await audit.append(transaction, actor, "account.resume", account.id, now_ms)
    return moved


async def _move(
    transaction: Transaction, who: str, step: AccountMove, reason: Reason | None, now_ms: int
) -> tuple[Account, Account]:
    account = await store_account.known(transaction, who)
    state = advance(account.state, step)
    if state == account.state:
        return account, account
    moved = replace(account, state=state, state_since_ms=now_ms, reason=reason)
    await store_account.set_state(transaction, moved)
    await bump_policy_version(transaction)
    return account, moved


async def _tell(
    transaction: Transaction, account: Account, kind: str, grounds: Grounds, now_ms: int,
    **more: str,
) -> None:
    if account.email is not None:
        await mail.post(transaction, kind, account.id, {
            "reason": WORDS[grounds.reason][account.language], **more,
            "link": await _appeal(transaction, account, grounds, now_ms)}, now_ms)


async def _appeal(
    transaction: Transaction, account: Account, grounds: Grounds, now_ms: int
) -> str:
    token = await mail_token.issue(transaction, account.id, "appeal", now_ms, grounds.reason)
    return f"{grounds.origin.rstrip('/')}/appeal?token={token}"


async def _log(
    transaction: Transaction, actor: Actor, action: str, account: Account,
    why: tuple[Grounds, int],
) -> None:
    grounds, now_ms = why
    await audit.append(
        transaction, actor, action, account.id, now_ms, reason=grounds.words or grounds.reason,
        details={"reason": grounds.reason, "was": account.state})


async def move(
    db: Database, actor: Actor, who: str, step: Move, grounds: Grounds, now_ms: int
) -> Account:
    """One of the three, in a transaction of its own. Raises `own_account`, `operator_account`."""
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        code = await conflict.of(transaction, actor, account.id)
        if code is None:
            return await _moved(transaction, actor, account.id, (step, grounds), now_ms)
        await conflict.note(transaction, actor, account.id, (f"account.{step}", code), now_ms)
    raise RelayError(code, param="account")


async def _moved(
    transaction: Transaction, actor: Actor, who: str, how: tuple[Move, Grounds], now_ms: int
) -> Account:
    step, grounds = how
    if step == "suspend":
        return await suspend(transaction, actor, who, grounds, now_ms)
    if step == "terminate":
        return await terminate(transaction, actor, who, grounds, now_ms)
    return await resume(transaction, actor, who, grounds.origin, now_ms)
