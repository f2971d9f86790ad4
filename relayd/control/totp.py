"""Codes of an authenticator: turn on, check, turn off; recovery codes.

Law: an authenticator counts once its first code was right; sessions that came in without one end
then. Recovery codes leave here once. Turning on or off is told to the owner by mail.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

from relayd.control import audit, mail
from relayd.control.door import Caller, Door
from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.session import Method
from relayd.core.timestamp import rfc3339
from relayd.core.totp import (
    RECOVERY_BYTES, RECOVERY_CODES, SECRET_BYTES, Totp, matching_step, recovery_code,
    recovery_digest, uri,
)
from relayd.store import session as store_session
from relayd.store import totp as store_totp
from relayd.store.db import Database
from relayd.store.transaction import Transaction

ISSUER: Final = "relayd"


async def begin(db: Database, account: Account, now_ms: int) -> Totp:
    """A new authenticator that is to be confirmed. Raises `account_state` where one is on."""
    async with db.writing() as transaction:
        if await is_on(transaction, account.id):
            raise RelayError("account_state", param="totp")
        totp = Totp(account.id, secrets.token_bytes(SECRET_BYTES), False, -1, now_ms)
        await store_totp.put(transaction, totp)
    return totp


async def pending(db: Database, account_id: str) -> Totp:
    """The authenticator that is to be confirmed. Raises `factor_not_found`."""
    async with db.reading() as transaction:
        return await _pending(transaction, account_id)


async def _pending(transaction: Transaction, account_id: str) -> Totp:
    totp = await store_totp.find(transaction, account_id)
    if totp is None or totp.confirmed:
        raise RelayError("factor_not_found", param="totp")
    return totp


def enrolment(totp: Totp, account: Account) -> str:
    """What the QR code of an authenticator says."""
    return uri(totp.secret, ISSUER, account.username or account.email or account.id)


async def confirm(
    door: Door, account_id: str, code: str, caller: Caller, now_ms: int, but: str | None = None
) -> list[str]:
    """Turn the authenticator on by its first code; returns the recovery codes, told once. Every
    session ends, save one: whoever had the password alone is not kept in.

    Raises `factor_not_found` or `wrong_code`.
    """
    async with door.db.writing() as transaction:
        totp = await _pending(transaction, account_id)
        step = matching_step(totp, code, now_ms)
        if step is None:
            raise RelayError("wrong_code", param="code")
        await store_totp.put(transaction, replace(totp, confirmed=True, last_step=step))
        await store_session.delete_all(transaction, account_id, but)
        await _told(door, transaction, account_id, "totp.add", caller, now_ms)
        return await _new_codes(transaction, account_id)


async def new_codes(
    door: Door, account_id: str, caller: Caller, now_ms: int
) -> list[str]:
    """Other recovery codes in the place of those there are. Raises `factor_not_found`."""
    async with door.db.writing() as transaction:
        if not await is_on(transaction, account_id):
            raise RelayError("factor_not_found", param="totp")
        await _told(door, transaction, account_id, "totp.codes", caller, now_ms)
        return await _new_codes(transaction, account_id)


async def _new_codes(transaction: Transaction, account_id: str) -> list[str]:
    codes = [recovery_code(secrets.token_bytes(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
    await store_totp.put_codes(
        transaction, account_id, [recovery_digest(account_id, code) for code in codes])
    return codes


async def remove(door: Door, account_id: str, caller: Caller, now_ms: int) -> None:
    """Turn the authenticator off, with its recovery codes. Raises `factor_not_found`."""
    async with door.db.writing() as transaction:
        if not await store_totp.delete(transaction, account_id):
            raise RelayError("factor_not_found", param="totp")
        await _told(door, transaction, account_id, "totp.remove", caller, now_ms)


async def _told(
    door: Door, transaction: Transaction, account_id: str, action: str, caller: Caller,
    now_ms: int,
) -> None:
    await audit.append(transaction, caller.actor(account_id), action, account_id, now_ms)
    await mail.post(transaction, "second_factor_changed", account_id, {
        "at": rfc3339(now_ms), "change": action, "link": door.link("/settings/factors")}, now_ms)


async def is_on(transaction: Transaction, account_id: str) -> bool:
    """Whether the account's sign-in asks for a code."""
    totp = await store_totp.find(transaction, account_id)
    return totp is not None and totp.confirmed


async def check(
    transaction: Transaction, account_id: str, code: str, now_ms: int
) -> Method | None:
    """How a code is right, which uses it up; None where it is wrong."""
    totp = await store_totp.find(transaction, account_id)
    if totp is None or not totp.confirmed:
        return None
    step = matching_step(totp, code, now_ms)
    if step is not None:
        await store_totp.put(transaction, replace(totp, last_step=step))
        return "totp"
    used = await store_totp.use_code(transaction, account_id, recovery_digest(account_id, code))
    return "recovery" if used else None


async def standing(db: Database, account_id: str) -> tuple[bool, int]:
    """Whether it is on, and how many recovery codes are left."""
    async with db.reading() as transaction:
        return (await is_on(transaction, account_id),
                await store_totp.codes_left(transaction, account_id))
