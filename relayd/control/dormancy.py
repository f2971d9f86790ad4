"""Dormancy: remind whoever has not been here for long, then begin to erase.

Law: a sign-in or a call starts the months anew. Erasure begins as if its holder had asked for it,
with its days to think again; who has the rest of a balance is reminded and not erased. Whose
account was terminated, or can be read no more, cannot come back: it is erased after the same
months, without reminders.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from relayd.control import mail
from relayd.core.dormancy import NOTICE_DAYS, STEPS, Step, due
from relayd.core.holder import Holder
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.store import account as store_account
from relayd.store import holder as store_holder
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Transaction

BATCH: Final = 100
MONTHS: Final[dict[Step, str]] = {"first_reminder": "12", "last_reminder": "23", "erase": "24"}
Erase = Callable[[str, int], Awaitable[bool]]
"""Begins the erasure of an account at a time; False where the account must stay."""


async def look(db: Database, origin: str, erase: Erase, now_ms: int) -> dict[Step, int]:
    """Takes each step that is due; returns how many of each."""
    taken: dict[Step, int] = {step: 0 for step, _ in STEPS}
    after = ""
    while True:
        async with db.reading() as transaction:
            batch = await store_holder.dormant(
                transaction, now_ms - STEPS[0][1] * DAY_MS, after, BATCH)
        for holder, call_ms in batch:
            step = await _judge(db, (holder, call_ms), origin, erase, now_ms)
            if step is not None:
                taken[step] += 1
        if len(batch) < BATCH:
            break
        after = batch[-1][0].account
    taken["erase"] += await _terminated(db, erase, now_ms)
    return taken


async def _terminated(db: Database, erase: Erase, now_ms: int) -> int:
    """Begins the erasure of accounts that were terminated long ago; returns of how many."""
    begun, batch = 0, [""]
    while batch:
        async with db.reading() as transaction:
            batch = await store_account.terminated(
                transaction, now_ms - STEPS[-1][1] * DAY_MS, batch[-1], BATCH)
        for account in batch:
            begun += await erase(account, now_ms)
    return begun


async def _judge(
    db: Database, idle: tuple[Holder, int], origin: str, erase: Erase, now_ms: int
) -> Step | None:
    holder, call_ms = idle
    if now_ms - max(holder.seen_at_ms, call_ms) >= STEPS[-1][1] * DAY_MS:
        async with db.reading() as transaction:
            lost = await _readable(transaction, holder.account) is None
        if lost:
            return "erase" if await erase(holder.account, now_ms) else None
    if call_ms > holder.seen_at_ms:
        # calls are use too: what was reminded of before the last one counts no more
        async with db.writing() as transaction:
            if await _still_away(transaction, holder) is None:
                return None
            await store_holder.seen(transaction, holder.account, call_ms)
        holder = replace(holder, seen_at_ms=call_ms, dormant_steps=0, dormant_at_ms=0)
    step = due(holder.seen_at_ms, holder.dormant_steps, holder.dormant_at_ms, now_ms)
    if step is None:
        return None
    async with db.reading() as transaction:
        if await _still_away(transaction, holder) is None:
            return None
    if step == "erase" and not await erase(holder.account, now_ms):
        return None
    async with db.writing() as transaction:
        found = await _still_away(transaction, holder)
        if found is None:
            return None
        if step != "erase":
            await mail.post(transaction, "dormancy_reminder", holder.account, {
                "months": MONTHS[step], "ends": _ends(holder, now_ms),
                "link": f"{origin.rstrip('/')}/sign-in"}, now_ms)
        await store_holder.put(transaction, replace(
            found, dormant_steps=holder.dormant_steps + 1, dormant_at_ms=now_ms))
    return step


async def _still_away(transaction: Transaction, holder: Holder) -> Holder | None:
    """The holder as the store has them now; None for who has come back since they were read, took
    this step by another process, or can be read no more."""
    found = await _readable(transaction, holder.account)
    if found is None or (found.seen_at_ms, found.dormant_steps) != (
            holder.seen_at_ms, holder.dormant_steps):
        return None
    return found


async def _readable(transaction: Transaction, account_id: str) -> Holder | None:
    """The holder of an account; None where either can be read no more."""
    if await store_account.readable(transaction, account_id) is None:
        return None
    try:
        return await store_holder.find(transaction, account_id)
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        return None


def _ends(holder: Holder, now_ms: int) -> str:
    """The day on which the erasure will begin."""
    at_ms = max(holder.seen_at_ms + STEPS[-1][1] * DAY_MS, now_ms + NOTICE_DAYS * DAY_MS)
    return rfc3339(at_ms)[:10]
