"""What signing in leaves behind, and when it goes: registrations, tokens, sessions, sign-ins.

Law: each goes by its own term, in transactions so small that nobody waits for one.
"""

from __future__ import annotations

from typing import Final

from relayd.control import registration
from relayd.control.door import DAY_MS
from relayd.core.passkey import CHALLENGE_MS
from relayd.store import mail_token, passkey, retention, role, session, sign_in
from relayd.store.db import Database

BATCH: Final = 500
SIGN_IN_DAYS: Final = 190


async def sweep(db: Database, now_ms: int, sign_in_days: int = SIGN_IN_DAYS) -> dict[str, int]:
    """Delete what is over; returns how many of each."""
    done = dict.fromkeys(("registrations", "mail_links", "sessions", "sign_ins"), 0)
    while count := await registration.sweep(db, now_ms):
        done["registrations"] += count
    before_ms = now_ms - sign_in_days * DAY_MS
    while True:
        async with db.writing() as transaction:
            batch = {
                "mail_links": await mail_token.sweep(transaction, now_ms, BATCH),
                "sessions": await session.sweep(transaction, now_ms, BATCH),
                "sign_ins": await sign_in.sweep(transaction, before_ms, BATCH),
            }
        for name, count in batch.items():
            done[name] += count
        if max(batch.values()) < BATCH:
            break
    async with db.writing() as transaction:
        for category, rows in done.items():
            await retention.note(transaction, category, rows, now_ms)
        await passkey.sweep_answers(transaction, now_ms - 2 * CHALLENGE_MS)
        await role.sweep_reveals(transaction, now_ms)
    return done
