"""What the audit log has, for tests of use cases that write into it."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from relayd.control import audit
from relayd.store.db import Database


class Act(NamedTuple):
    """An event, as far as a test says what it is."""

    action: str
    actor: str | None
    target: str | None
    details: dict[str, Any]


async def audited(db: Database, *prefixes: str) -> list[Act]:
    """The events whose actions begin with one of these, the first one first."""
    return [Act(entry.event.action, entry.event.actor, entry.event.target,
                orjson.loads(entry.event.details))
            async for entry in audit.listing(db) if entry.event.action.startswith(prefixes)]
