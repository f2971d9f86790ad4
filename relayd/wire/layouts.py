"""The conversations of one account, as far as their next body repeats what came (wire/layout.py).

Law: bounded, and of two that were not used for as long the longer stays. A body is hashed a few
times at most, however many conversations begin like it.
"""

from __future__ import annotations

from typing import Final

from relayd.wire.layout import Layout, Mac, Match, Texts, layout_of, sample
from relayd.wire.stretch import PIECE_COST, AllSeen

OPENING_BYTES: Final = 256
"""Conversations are looked up by the hash of so much of their beginning."""
BUCKET_MAX: Final = 24
"""Conversations of one opening; those that went on last."""
TRIES_MAX: Final = 2
"""Conversations that a body is compared with: each comparison hashes all of it."""
VAIN_MAX: Final = 64
"""After so many layouts in a row of which none was used, one in so many is made."""
SHARE_MAX: Final = 2
"""One conversation has one part in so many of an account's memory at most."""


class Layouts:
    """The conversations of one account."""

    __slots__ = ("_mac", "_buckets", "_bytes", "_bytes_max", "_vain", "_uses")

    def __init__(self, mac: Mac, bytes_max: int) -> None:
        self._mac = mac
        self._buckets: dict[tuple[str, int], list[Layout]] = {}
        self._bytes = 0
        self._bytes_max = bytes_max
        self._vain = 0
        self._uses = 0

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def find(self, operation: str, raw: bytes) -> Match | None:
        """What a body repeats of one before."""
        key = operation, hash(raw[:OPENING_BYTES])
        bucket = self._buckets.get(key)
        if bucket is None:
            return None
        tries = TRIES_MAX
        for layout in bucket:
            if layout.sample != sample(raw, layout.base.size):
                continue
            match = layout.match(raw, self._mac)
            if match is not None:
                if not layout.proven:
                    layout.proven = True
                    self._vain = 0
                self._use(layout)
                self._buckets[key] = self._buckets.pop(key)
                return match
            tries -= 1
            if not tries:
                break
        return None

    def learn(self, operation: str, raw: bytes, texts: Texts, grows: str,
              seen: AllSeen) -> None:
        """Keeps how a body begins and ends that was taken apart; `grows` is its growing list."""
        pieces = sum([len(each[2]) // 2 for each in seen.values() if each[2]])
        if pieces * PIECE_COST < self._bytes_max // SHARE_MAX and self._due():
            self._keep(operation, raw, layout_of(raw, texts, grows, seen, self._mac))

    def extend(self, operation: str, raw: bytes, match: Match, seen: AllSeen) -> None:
        """Keeps what was found to be known of a body that was a match."""
        layout = match.layout
        if match.goes_on(seen):
            cost, size = layout.cost, layout.base.size
            match.extend(seen, self._mac)
            if layout.base.size != size:
                self._buckets[operation, hash(raw[:OPENING_BYTES])].sort(key=_size, reverse=True)
            self._charge(layout.cost - cost)
        elif self._due():
            self._keep(operation, raw, match.branch(seen, self._mac))

    def _due(self) -> bool:
        """Whether it is worth making another layout."""
        self._vain += 1
        return self._vain <= VAIN_MAX or self._vain % VAIN_MAX == 0

    def _keep(self, operation: str, raw: bytes, layout: Layout | None) -> None:
        if layout is None or layout.cost > self._bytes_max // SHARE_MAX:
            return
        self._use(layout)
        key = operation, hash(raw[:OPENING_BYTES])
        bucket = self._buckets.pop(key, [])
        self._buckets[key] = bucket
        for old in bucket:
            if (old.sample, old.base.size) == (layout.sample, layout.base.size):
                self._forget(bucket, old)
                break
        if len(bucket) >= BUCKET_MAX:
            self._forget(bucket, min(bucket, key=_last_use))
        bucket.append(layout)
        bucket.sort(key=_size, reverse=True)
        self._charge(layout.cost)

    def _charge(self, cost: int) -> None:
        """Forgets what went on longest ago where there is too much."""
        self._bytes += cost
        while self._bytes > self._bytes_max:
            key, bucket = next(iter(self._buckets.items()))
            self._forget(bucket, min(bucket, key=_last_use))
            if not bucket:
                del self._buckets[key]

    def _use(self, layout: Layout) -> None:
        self._uses += 1
        layout.used = self._uses

    def _forget(self, bucket: list[Layout], layout: Layout) -> None:
        bucket.remove(layout)
        self._bytes -= layout.cost


def _size(layout: Layout) -> int:
    return layout.base.size


def _last_use(layout: Layout) -> int:
    return layout.used
