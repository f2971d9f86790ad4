"""What signing in leaves behind, and when it goes: registrations, tokens, sessions, sign-ins.

Law: each goes by its own term, in transactions so small that nobody waits for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from relayd.control import registration
from relayd.core.passkey import CHALLENGE_MS
from relayd.core.timestamp import DAY_MS
from relayd.ops.clock import monotonic
from relayd.store import mail_token, passkey, retention, role, session, sign_in
from relayd.store.db import Database
from relayd.store.transaction import Transaction

BATCH: Final = 500
SIGN_IN_DAYS: Final = 190


async def sweep(db: Database, now_ms: int, sign_in_days: int = SIGN_IN_DAYS) -> dict[str, int]:
    """Delete what is over; returns how many of each."""
    done = dict.fromkeys(("registrations", "mail_links", "sessions", "sign_ins"), 0)
    while count := await registration.sweep(db, now_ms):
        done["registrations"] += count
    before_ms = now_ms - sign_in_days * DAY_MS
    done["mail_links"] = await _all(db, lambda t: mail_token.sweep(t, now_ms, BATCH))
    done["sessions"] = await _all(db, lambda t: session.sweep(t, now_ms, BATCH))
    done["sign_ins"] = await _all(db, lambda t: sign_in.sweep(t, before_ms, BATCH))
    async with db.writing() as transaction:
        for category, rows in done.items():
            await retention.note(transaction, category, rows, now_ms)
        await passkey.sweep_answers(transaction, now_ms - 2 * CHALLENGE_MS)
        await role.sweep_reveals(transaction, now_ms)
    return done


async def _all(db: Database, sweep_batch: Callable[[Transaction], Awaitable[int]]) -> int:
    """Batch by batch; between two of them the store is free for as long as the last one took it,
    and what they wrote does not pile up."""
    done, count = 0, BATCH
    while count == BATCH:
        began = monotonic()
        async with db.writing() as transaction:
            count = await sweep_batch(transaction)
        done += count
        if count:
            await db.checkpoint_if_large()
            await asyncio.sleep(monotonic() - began)
    return done
