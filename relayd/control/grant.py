"""Credit that is given: by an operator, for a code, as a subscription's allowance. Spending it,
and what becomes of it when its time is over.

Law: every grant is a transfer of the ledger too, in the same transaction. What calls cost is
charged before a grant expires: what was used in its time is paid from it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

from relayd.control import audit, conflict, wallet
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.grant import CODE_BYTES, Grant, GrantSource, looks_like_code, mint_code
from relayd.core.money import CURRENCY, decimal, parse_nano
from relayd.core.plan import Plan
from relayd.core.posting import TRANSFER_NANO_MAX, move
from relayd.core.timestamp import DAY_MS, rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import grant as store_grant
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.store.grant import Code
from relayd.store.secret import derived
from relayd.store.transaction import Transaction

CODE_LABEL: Final = "codes to redeem"
EXPIRED_AT_ONCE: Final = 200
USES_MAX: Final = 1_000_000
DAYS_MAX: Final = 3660


@dataclass(frozen=True, slots=True)
class Credit:
    """What is given: an amount, and until when; None: it stays."""

    nano: int
    currency: str
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code and its text, which is shown once."""

    code: Code
    text: str = field(repr=False)


def read_amount(text: str, currency: str) -> int:
    """Nano-units of an amount to give; raises `invalid_value`."""
    nano = parse_nano(text)
    if not nano or nano > TRANSFER_NANO_MAX:
        raise RelayError("invalid_value", param="amount")
    if not CURRENCY.fullmatch(currency):
        raise RelayError("invalid_value", param="currency")
    return nano


async def give(
    transaction: Transaction, account_id: str, credit: Credit, source: GrantSource, now_ms: int,
) -> Grant:
    """Add credit to an account, within what else is done."""
    grant = Grant(
        id="grant_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account=account_id,
        currency=credit.currency, amount_nano=credit.nano, left_nano=credit.nano, source=source,
        created_at_ms=now_ms, expires_at_ms=credit.expires_at_ms)
    await store_grant.insert(transaction, grant)
    await store_posting.post(transaction, move(
        "grant", f"grant:{grant.id}", credit.nano, credit.currency, account=account_id), now_ms)
    return grant


async def give_to(
    db: Database, who: str, credit: Credit, reason: str, now_ms: int, actor: Actor,
) -> Grant:
    """An operator gives credit, for a reason that the audit log keeps.

    Raises `own_account`.
    """
    await conflict.judge_own(db, actor, who, "credit.grant", now_ms)
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        grant = await give(transaction, account.id, credit, "operator", now_ms)
        await audit.append(
            transaction, actor, "credit.grant", account.id, now_ms, reason=reason,
            details={"grant": grant.id, "nano": credit.nano, "currency": credit.currency})
    return grant


async def allowance(
    transaction: Transaction, account_id: str, plan: Plan, kept_nano: int, now_ms: int,
) -> int:
    """What the allowance of a plan's period is. Where no fee pays for it there is one at a time:
    whoever leaves such a plan and comes back has had it, and whoever changes from one to another
    has what was left of it."""
    if plan.fee_nano or not await store_grant.was_allowed(
            transaction, account_id, plan.allowance_nano, plan.currency, now_ms):
        return plan.allowance_nano
    return min(plan.allowance_nano, kept_nano)


async def allow(
    transaction: Transaction, account_id: str, plan: Plan, end_ms: int, now_ms: int,
    kept_nano: int = 0,
) -> None:
    """Gives the allowance of a plan's period; `kept_nano` of the one before goes on."""
    nano = await allowance(transaction, account_id, plan, kept_nano, now_ms)
    if nano:
        await give(transaction, account_id, Credit(nano, plan.currency, end_ms), "subscription",
                   now_ms)


async def end(transaction: Transaction, grant: Grant, now_ms: int) -> None:
    """Take back what is left of a grant."""
    if not grant.left_nano:
        return
    await store_grant.take(transaction, grant.id, grant.left_nano)
    await store_posting.post(transaction, move(
        "grant_expiry", f"grant:{grant.id}:expired", grant.left_nano, grant.currency,
        account=grant.account), now_ms)


async def expire(db: Database, now_ms: int, settled_ms: int = 0) -> int:
    """End grants whose time is over for so long; returns how many."""
    over_ms = now_ms - settled_ms
    async with db.reading() as transaction:
        if not await store_grant.expired(transaction, over_ms, 1):
            return 0
    async with db.writing() as transaction:
        found = await store_grant.expired(transaction, over_ms, EXPIRED_AT_ONCE)
        charged = {grant.account for grant in found}
        for account_id in charged:
            await wallet.charge_account(transaction, account_id, now_ms)
        # read again: charges may have spent them, and then there are those of others
        for grant in await store_grant.expired(transaction, over_ms, EXPIRED_AT_ONCE):
            if grant.account in charged:
                await end(transaction, grant, now_ms)
    return len(found)


async def end_one(
    db: Database, grant_id: str, reason: str, now_ms: int, actor: Actor,
) -> None:
    """An operator takes back what is left of a grant, once what calls cost is paid from it.
    Raises `grant_not_found`, `own_account`."""
    async with db.reading() as transaction:
        known = await store_grant.find(transaction, grant_id)
    if known is not None:
        await conflict.judge_own(db, actor, known.account, "credit.end", now_ms)
    async with db.writing() as transaction:
        found = await store_grant.find(transaction, grant_id)
        if found is not None:
            await wallet.charge_account(transaction, found.account, now_ms)
            found = await store_grant.find(transaction, grant_id)
        if found is None or not found.left_nano:
            raise RelayError("grant_not_found", param="grant")
        await end(transaction, found, now_ms)
        await audit.append(
            transaction, actor, "credit.end", found.account, now_ms, reason=reason,
            details={"grant": found.id, "nano": found.left_nano, "currency": found.currency})


async def latest(db: Database, most: int) -> list[Grant]:
    """Anybody's credit but subscriptions' allowances, the newest first."""
    async with db.reading() as transaction:
        return await store_grant.latest(transaction, most)


async def listing(db: Database, account_id: str) -> list[Grant]:
    """All credit that an account was given, the newest first."""
    async with db.reading() as transaction:
        return await store_grant.listing(transaction, account_id)


def view(grant: Grant) -> dict[str, object]:
    """A grant as JSON shows it."""
    return {
        "id": grant.id, "currency": grant.currency, "amount": decimal(grant.amount_nano, 2),
        "left": decimal(grant.left_nano, 2), "source": grant.source,
        "created_at": rfc3339(grant.created_at_ms),
        "expires_at": rfc3339_or_none(grant.expires_at_ms),
    }


# -- codes ------------------------------------------------------------------------------------


def _digest(db: Database, text: str) -> bytes:
    return hmac.digest(derived(db.secret, CODE_LABEL), text.encode("ascii"), "sha256")


async def make_code(
    db: Database, credit: Credit, uses: int, grant_days: int | None, now_ms: int, actor: Actor,
) -> NewCode:
    """A new code; `credit.expires_at_ms` is until when it can be redeemed."""
    if not 0 < uses <= USES_MAX:
        raise RelayError("invalid_value", param="uses")
    if grant_days is not None and not 0 < grant_days <= DAYS_MAX:
        raise RelayError("invalid_value", param="grant_days")
    text = mint_code(secrets.token_bytes(CODE_BYTES))
    code = Code("code_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), credit.currency,
                credit.nano, uses, now_ms, credit.expires_at_ms, grant_days)
    async with db.writing() as transaction:
        await store_grant.insert_code(transaction, code, _digest(db, text))
        await audit.append(transaction, actor, "code.create", None, now_ms, details={
            "code": code.id, "nano": credit.nano, "currency": credit.currency, "uses": uses})
    return NewCode(code, text)


async def redeem(db: Database, account_id: str, text: str, now_ms: int, actor: Actor) -> Grant:
    """The credit of a code, once per account. Raises `code_not_usable`: which of the reasons
    there may be is nobody's business who tries codes. Whoever may make codes takes none: they get
    `own_account`."""
    if actor.has("finance") and actor.account is not None:
        await conflict.refuse(db, actor, account_id, ("code.redeem", "own_account"), now_ms)
    text = text.strip()
    if not looks_like_code(text):
        raise RelayError("code_not_usable", param="code")
    async with db.writing() as transaction:
        code = await store_grant.find_code(transaction, _digest(db, text))
        usable = code is not None and code.uses_left > 0 and (
            code.expires_at_ms is None or now_ms < code.expires_at_ms)
        if code is None or not usable or not await store_grant.use_code(
                transaction, code.id, account_id, now_ms):
            raise RelayError("code_not_usable", param="code")
        ends_ms = None if code.grant_days is None else now_ms + code.grant_days * DAY_MS
        grant = await give(transaction, account_id, Credit(
            code.amount_nano, code.currency, ends_ms), "code", now_ms)
        await audit.append(transaction, actor, "code.redeem", account_id, now_ms, details={
            "code": code.id, "grant": grant.id})
    return grant


async def codes(db: Database) -> list[Code]:
    """All codes, the newest first."""
    async with db.reading() as transaction:
        return await store_grant.codes(transaction)


async def end_code(db: Database, code_id: str, now_ms: int, actor: Actor) -> None:
    """Nobody can redeem it any more. Raises `code_not_found`."""
    async with db.writing() as transaction:
        if not await store_grant.end_code(transaction, code_id):
            raise RelayError("code_not_found", param="code")
        await audit.append(transaction, actor, "code.end", None, now_ms, details={"code": code_id})


def code_view(code: Code) -> dict[str, object]:
    """A code as JSON shows it: without its text, which nobody has."""
    return {
        "id": code.id, "currency": code.currency, "amount": decimal(code.amount_nano, 2),
        "uses_left": code.uses_left, "created_at": rfc3339(code.created_at_ms),
        "expires_at": rfc3339_or_none(code.expires_at_ms),
        "grant_days": code.grant_days,
    }
