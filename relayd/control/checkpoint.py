"""Checkpoints of the audit log: sign, verify, prove, prune.

Law: only what a checkpoint of the store's key says to be pruned is ever deleted. A new signing key
is itself an event, so that nobody changes it unseen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from relayd.control import audit
from relayd.core import merkle
from relayd.core.actor import SYSTEM
from relayd.core.audit import START, AuditEvent
from relayd.core.checkpoint import Break, Checkpoint, Walk, begin, judge, leaf_of
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339
from relayd.store import audit as store_audit
from relayd.store import checkpoint as store_checkpoint
from relayd.store import retention as store_retention
from relayd.store.db import Database
from relayd.store.signing import Signer, valid
from relayd.store.transaction import Transaction

EVENTS_DUE: Final = 100
"""So many events are signed at once."""
AGE_DUE_MS: Final = 3_600_000
"""Fewer are signed when the oldest is of this age."""
EVENTS_AT_ONCE: Final = 1000
"""More are signed in several checkpoints, each a transaction: others write in between."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: events from `first_seq` to `last_seq`, whose hash is `hash`.

    `broken` is the first thing that is wrong; what comes after it was not looked at.
    """

    first_seq: int
    last_seq: int
    hash: bytes
    events: int
    checkpoints: int
    unsigned: int
    broken: Break | None


@dataclass(frozen=True, slots=True)
class Proof:
    """That an event is in the log: its leaf, its place, the path to a checkpoint's root."""

    event: AuditEvent
    leaf: bytes
    index: int
    count: int
    path: list[bytes]
    checkpoint: Checkpoint


async def due(db: Database, now_ms: int) -> bool:
    """Whether there is enough, or what is there is old enough, for a checkpoint."""
    async with db.reading() as transaction:
        last = await store_checkpoint.last(transaction)
        after = 0 if last is None else last.seq
        seq, _ = await store_audit.head(transaction)
        if seq - after >= EVENTS_DUE:
            return True
        async for event, _ in store_audit.events(transaction, after_seq=after, last_seq=after + 1):
            # an event of later is one of a clock that was ahead
            return not 0 <= now_ms - event.at_ms < AGE_DUE_MS
    return False


async def sign(db: Database, signer: Signer, now_ms: int) -> Checkpoint | None:
    """The last of the checkpoints of all events up to now; None where there is no new one."""
    head, last = 0, None
    while True:
        async with db.writing() as transaction:
            made = await _sign(transaction, signer, now_ms)
            head = head or (await store_audit.head(transaction))[0]
        if made is None or made.seq >= head:
            return made or last
        last = made


async def _sign(
    transaction: Transaction, signer: Signer, now_ms: int, prune: Checkpoint | None = None,
) -> Checkpoint | None:
    last = await store_checkpoint.last(transaction)
    after = 0 if last is None else last.seq
    if (await store_audit.head(transaction))[0] == after:
        return None
    if last is None or last.public_key != signer.public:
        await audit.append(transaction, SYSTEM, "audit.key", None, now_ms,
                           details={"public": signer.public.hex()})
    leaves = []
    seq, hashed = after, START
    async for event, hashed in store_audit.events(
            transaction, after_seq=after,
            last_seq=after + EVENTS_AT_ONCE if prune is None else None):
        leaves.append(leaf_of(event))
        seq = event.seq
    made = Checkpoint(
        seq=seq, at_ms=now_ms, hash=hashed, root=merkle.root(leaves),
        pruned_seq=0 if last is None else last.pruned_seq,
        pruned_hash=START if last is None else last.pruned_hash,
        previous=START if last is None else last.digest(), public_key=signer.public)
    if prune is not None:
        made = replace(made, pruned_seq=prune.seq, pruned_hash=prune.hash)
    made = replace(made, signature=signer.sign(made.body()))
    await store_checkpoint.insert(transaction, made)
    return made


async def _over(transaction: Transaction, before_ms: int) -> Checkpoint | None:
    """The newest checkpoint whose events are all older than a moment, and not yet pruned."""
    found = await store_checkpoint.last_over(transaction, before_ms)
    pruned_seq, _ = begin(await store_checkpoint.listing(transaction))
    return None if found is None or found.seq <= pruned_seq else found


async def prune(db: Database, signer: Signer, before_ms: int, now_ms: int) -> int:
    """Delete the events that a checkpoint from before this moment has; returns how many.

    A new checkpoint says so, and goes on from the hash of the last of them.
    """
    async with db.reading() as transaction:  # mostly there is nothing, and nobody has to wait
        if await _over(transaction, before_ms) is None:
            return 0
    async with db.writing() as transaction:
        found = await _over(transaction, before_ms)
        if found is None:
            return 0
        first, _ = begin(await store_checkpoint.listing(transaction))
        await audit.append(transaction, SYSTEM, "audit.prune", None, now_ms,
                           details={"events": found.seq - first, "until": found.seq})
        await _sign(transaction, signer, now_ms, found)
        pruned = await store_checkpoint.prune(transaction, found.seq)
        await store_retention.note(transaction, "audit", pruned, now_ms)
        return pruned


async def verify(
    db: Database, trusted: Collection[bytes], seen: tuple[int, bytes] | None = None
) -> Verdict:
    """Hold every event and checkpoint against hashes and signatures of the trusted keys.

    `seen` is an event's number and hash that somebody noted elsewhere: it finds a log whose end
    was cut off together with its checkpoints.
    """
    async with db.reading_long() as transaction:
        checkpoints = await store_checkpoint.listing(transaction)
        first, _ = begin(checkpoints)
        walk = Walk(checkpoints)
        broken = judge(checkpoints, trusted, valid)
        if broken is None:
            broken = await _walk(transaction, walk, seen)
    return Verdict(first + 1, walk.seq, walk.hash, walk.events, len(checkpoints), walk.unsigned,
                   broken)


async def _walk(
    transaction: Transaction, walk: Walk, seen: tuple[int, bytes] | None
) -> Break | None:
    async for event, hashed in store_audit.events(transaction):
        broken = walk.step(event, hashed)
        if broken is None and seen is not None and event.seq == seen[0] and hashed != seen[1]:
            broken = Break(event.seq, "or one before it is not what was seen")
        if broken is not None:
            return broken
    if seen is not None and seen[0] > walk.seq:
        return Break(walk.seq + 1, "is missing: it was seen")
    return walk.end()


async def prove(db: Database, seq: int) -> Proof:
    """The proof of an event. Raises `event_not_found`, `event_unsigned` before its checkpoint."""
    async with db.reading() as transaction:
        checkpoint = await store_checkpoint.following(transaction, seq)
        checkpoints = await store_checkpoint.listing(transaction)
        after = max((each.seq for each in checkpoints if each.seq < seq), default=0)
        last_seq = seq if checkpoint is None else checkpoint.seq
        found = [event async for event, _ in store_audit.events(
            transaction, after_seq=after, last_seq=last_seq)]
    index = seq - after - 1
    if not 0 <= index < len(found) or found[index].seq != seq:
        raise RelayError("event_not_found", param="event")
    if checkpoint is None:
        raise RelayError("event_unsigned", param="event")
    leaves = [leaf_of(event) for event in found]
    return Proof(found[index], leaves[index], index, len(leaves), merkle.path(leaves, index),
                 checkpoint)


def view(checkpoint: Checkpoint) -> dict[str, object]:
    """The checkpoint as JSON shows it; bytes as hex."""
    return {
        "seq": checkpoint.seq, "at": rfc3339(checkpoint.at_ms), "at_ms": checkpoint.at_ms,
        "hash": checkpoint.hash.hex(), "root": checkpoint.root.hex(),
        "pruned_seq": checkpoint.pruned_seq, "pruned_hash": checkpoint.pruned_hash.hex(),
        "previous": checkpoint.previous.hex(), "public_key": checkpoint.public_key.hex(),
        "signature": checkpoint.signature.hex(),
    }
