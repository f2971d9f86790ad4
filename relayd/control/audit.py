"""The audit log: append, list.

Law: an event is appended in the write transaction of what it tells of: neither is there without
the other. A reason is sealed under the key of the account it is about, and goes with it; where
there is no such account, under a key of the log's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypedDict, Unpack

import orjson

from relayd.core.actor import Actor
from relayd.core.audit import (
    AuditEvent, Detail, action_of, chained, check_details, check_reason,
)
from relayd.core.timestamp import rfc3339
from relayd.store import audit as store_audit
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Transaction

KEY_OWNER: Final = "audit"
"""Owns the key of reasons that are about no account, or about one whose key cannot be used."""


class More(TypedDict, total=False):
    """What an event may have besides: a reason in words, and details of a closed kind."""

    reason: str | None
    details: Mapping[str, Detail]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it is shown. `reason` None: there was none, or it can be opened no more."""

    event: AuditEvent
    hash: bytes
    reason: str | None = field(repr=False)


async def append(
    transaction: Transaction, actor: Actor, action: str, target: str | None, now_ms: int,
    **more: Unpack[More],
) -> int:
    """Say that the actor does this to an account (None: to none); returns the event's number.

    Raises `reason_missing` where the action needs a reason, `invalid_value` for an unfit one.
    """
    reason = check_reason(action_of(action), more.get("reason"))
    details = check_details(more.get("details", {}))
    seq, before = await store_audit.head(transaction)
    seq += 1
    event = AuditEvent(
        seq=seq, at_ms=now_ms, actor=actor.account, roles=",".join(sorted(actor.roles)),
        via=actor.via, action=action, target=target,
        reason=None if reason is None else await _sealed(transaction, target, seq, reason),
        details=orjson.dumps(details).decode())
    await store_audit.insert(transaction, event, chained(before, event))
    return seq


async def _sealed(
    transaction: Transaction, target: str | None, seq: int, reason: str
) -> bytes | None:
    place = (store_audit.TABLE, "reason", str(seq))
    if target is not None:
        try:
            return transaction.seal(target, *place, reason)
        except StoreError as error:
            if error.code not in UNREADABLE:
                raise
    await transaction.sealer.keyring.make(KEY_OWNER)
    return transaction.seal(KEY_OWNER, *place, reason)


def reason_of(transaction: Transaction, event: AuditEvent) -> str | None:
    """The event's reason in words, if there is one that can still be opened."""
    for owner in (event.target, KEY_OWNER):
        if owner is not None:
            with suppress(StoreError):
                return transaction.unseal(
                    owner, store_audit.TABLE, "reason", str(event.seq), event.reason)
    return None


async def listing(
    db: Database, *, since_ms: int = 0, target: str | None = None,
) -> AsyncIterator[Entry]:
    """Events, oldest first: all, or those about one account."""
    async with db.reading_long() as transaction:
        async for event, hashed in store_audit.events(
                transaction, since_ms=since_ms, target=target):
            yield Entry(event, hashed, reason_of(transaction, event))


async def latest(
    db: Database, before_seq: int | None, target: str | None, most: int, *, reasons: bool = False,
) -> list[Entry]:
    """At most `most` events before a number, the newest first: all, or those about one account.

    Without their reasons, which may name somebody, where those are not asked for.
    """
    async with db.reading() as transaction:
        found = await store_audit.latest(transaction, before_seq, target, most)
        return [Entry(event, hashed, reason_of(transaction, event) if reasons else None)
                for event, hashed in found]


def view(entry: Entry) -> dict[str, object]:
    """The event as JSON shows it."""
    event = entry.event
    return {
        "seq": event.seq,
        "at": rfc3339(event.at_ms),
        "actor": event.actor,
        "roles": event.roles.split(",") if event.roles else [],
        "via": event.via,
        "action": event.action,
        "target": event.target,
        "reason": entry.reason,
        "details": orjson.loads(event.details),
        "hash": entry.hash.hex(),
    }
