"""Merkle trees of RFC 6962 section 2.1: a root over many entries, and short proofs that one is in.

Law: an entry and an inner node are hashed with different first bytes, so that neither passes for
the other. Indexes count from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

EMPTY: Final = hashlib.sha256(b"").digest()
"""The root of no entries."""


def leaf(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves' hashes."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY
    middle = _split(len(leaves))
    return node(root(leaves[:middle]), root(leaves[middle:]))


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of a leaf: what `root_of` needs, from the leaf upwards."""
    if not 0 <= index < len(leaves):
        raise AssertionError("there is no such leaf")
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*path(leaves[:middle], index), root(leaves[middle:])]
    return [*path(leaves[middle:], index - middle), root(leaves[:middle])]


def root_of(hashed: bytes, index: int, count: int, steps: Sequence[bytes]) -> bytes | None:
    """The root of a tree with `count` leaves that has this leaf there; None: no such path.

    RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < count:
        return None
    last = count - 1
    for step in steps:
        if last == 0:
            return None
        if index & 1 or index == last:
            hashed = node(step, hashed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node(hashed, step)
        index, last = index >> 1, last >> 1
    return hashed if last == 0 else None
