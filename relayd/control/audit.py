"""The audit log: append, list.

Law: an event is appended in the write transaction of what it tells of: neither is there without
the other. A reason is sealed under the key of the account it is about, and goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

import orjson

from relayd.core.actor import Actor
from relayd.core.audit import (
    AuditEvent, Detail, action_of, chained, check_details, check_reason,
)
from relayd.store import audit as store_audit
from relayd.store.transaction import Transaction


class More(TypedDict, total=False):
    """What an event may have besides: a reason in words, and details of a closed kind."""

    reason: str | None
    details: Mapping[str, Detail]


async def append(
    transaction: Transaction, actor: Actor, action: str, target: str | None, now_ms: int,
    **more: Unpack[More],
) -> int:
    """Say that the actor does this to an account (None: to none); returns the event's number.

    Raises `reason_missing` where the action needs a reason, `invalid_value` for an unfit one.
    """
    check_reason(action_of(action), more.get("reason"))
    details = check_details(more.get("details", {}))
    seq, before = await store_audit.head(transaction)
    seq += 1
    event = AuditEvent(
        seq=seq, at_ms=now_ms, actor=actor.account, roles=",".join(sorted(actor.roles)),
        via=actor.via, action=action, target=target, reason=None,
        details=orjson.dumps(details).decode())
    await store_audit.insert(transaction, event, chained(before, event))
    return seq
