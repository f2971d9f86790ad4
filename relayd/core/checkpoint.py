"""Checkpoints of the audit log: signed statements of where its chain of hashes stood.

Law: what is behind a checkpoint of a trusted key cannot change, go, come between or be cut off
unnoticed. Each checkpoint has the hash of the one before it, and a Merkle root of the events
between the two, so that one event can be proved without the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from relayd.core import merkle
from relayd.core.audit import START, AuditEvent, chained, packed

HEADING: Final = "relayd audit checkpoint 1"
Valid = Callable[[bytes, bytes, bytes], bool]
"""Whether (public key, message, signature) belong together."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The chain ended in `hash` with event `seq`.

    `root` is over the events since the checkpoint before, whose hash is `previous`. Events up to
    `pruned_seq` (0: none), the last with `pruned_hash`, were deleted because their time was over.
    """

    seq: int
    at_ms: int
    hash: bytes
    root: bytes
    pruned_seq: int
    pruned_hash: bytes
    previous: bytes
    public_key: bytes
    signature: bytes = b""

    def body(self) -> bytes:
        """What is signed: lines of text."""
        lines = (HEADING, self.seq, self.at_ms, self.hash.hex(), self.root.hex(), self.pruned_seq,
                 self.pruned_hash.hex(), self.previous.hex(), self.public_key.hex())
        return "".join(f"{line}\n" for line in lines).encode("ascii")

    def digest(self) -> bytes:
        """The hash by which the next checkpoint names this one."""
        return hashlib.sha256(self.body() + self.signature).digest()


class Break(NamedTuple):
    """The first thing that is wrong: with this event or, where `of_checkpoint`, checkpoint."""

    seq: int
    what: str
    of_checkpoint: bool = False


def leaf_of(event: AuditEvent) -> bytes:
    """The event's leaf in its checkpoint's tree."""
    return merkle.leaf(packed(event))


def begin(checkpoints: Sequence[Checkpoint]) -> tuple[int, bytes]:
    """(number, hash) of the event before the first that must be there."""
    last = checkpoints[-1] if checkpoints else None
    return (0, START) if last is None else (last.pruned_seq, last.pruned_hash)


def judge(
    checkpoints: Sequence[Checkpoint], trusted: Collection[bytes], valid: Valid
) -> Break | None:
    """What is wrong with the checkpoints by themselves, oldest first."""
    pruned_seq, pruned_hash = begin(checkpoints)
    before: Checkpoint | None = None
    for each in checkpoints:
        if each.public_key not in trusted:
            return Break(each.seq, "is signed with a key that is not trusted", True)
        if not valid(each.public_key, each.body(), each.signature):
            return Break(each.seq, "has a signature that is not its own", True)
        if before is None and pruned_seq:
            if (each.seq, each.hash) != (pruned_seq, pruned_hash):
                return Break(each.seq, "is not the one that events were pruned up to", True)
        elif each.previous != (START if before is None else before.digest()):
            return Break(each.seq, "does not follow the checkpoint before it", True)
        elif each.seq <= (0 if before is None else before.seq):
            return Break(each.seq, "is out of order", True)
        before = each
    return None


class Walk:
    """Goes along the events, oldest first, and holds them against hashes and checkpoints."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.seq, self.hash = begin(checkpoints)
        self.events = 0
        self._due = [each for each in checkpoints if each.seq > self.seq]
        self._due.reverse()
        self._leaves: list[bytes] = []

    @property
    def unsigned(self) -> int:
        """Events that came after the last checkpoint."""
        return len(self._leaves)

    def step(self, event: AuditEvent, hashed: bytes) -> Break | None:
        """Takes the next event with the hash that is kept of it."""
        if event.seq != self.seq + 1:
            return Break(self.seq + 1, "is missing")
        if chained(self.hash, event) != hashed:
            return Break(event.seq, "is not what its hash says")
        self.seq, self.hash = event.seq, hashed
        self.events += 1
        self._leaves.append(leaf_of(event))
        if self._due and self._due[-1].seq == event.seq:
            return self._meet(self._due.pop())
        return None

    def _meet(self, checkpoint: Checkpoint) -> Break | None:
        leaves, self._leaves = self._leaves, []
        if checkpoint.hash != self.hash:
            return Break(checkpoint.seq, "or one before it is not what was signed")
        if checkpoint.root != merkle.root(leaves):
            return Break(checkpoint.seq, "has a tree of other events", True)
        return None

    def end(self) -> Break | None:
        """What is missing after the last event."""
        return Break(self.seq + 1, "is missing: a checkpoint has seen it") if self._due else None
