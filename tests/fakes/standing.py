"""Suspend and resume, as tests of other things need it."""

from __future__ import annotations

from relayd.control import standing
from relayd.control.standing import Grounds, Move
from relayd.core.account import Account
from relayd.core.actor import SHELL, Actor
from relayd.store.db import Database

MOVES: dict[str, Move] = {"suspend": "suspend", "resume": "resume", "terminate": "terminate"}


async def move(
    db: Database, who: str, step: str, now_ms: int, actor: Actor = SHELL,
    words: str | None = None,
) -> Account:
    """Moves an account for the reason `other`."""
    return await standing.move(
        db, actor, who, MOVES[step], Grounds("other", "https://relay.test", words), now_ms)
