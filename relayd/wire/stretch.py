"""Parts of a body that repeat: where the members lie in them that are read each time, and the
bytes of known elements that are sent.

Law: offsets and hashes, no content.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from relayd.wire.spliced import Run

STRETCH_COST: Final = 300
MEMBER_COST: Final = 400
PIECE_COST: Final = 8
ELEMENT_COST: Final = 16
"""What each takes of the memory, in bytes."""

Bounds: TypeAlias = "array[int]"
"""The start and the stop of each piece of a text."""

Seen: TypeAlias = "tuple[int, int, Bounds | None, tuple[str, ...]]"
"""A known element: (its tag, length, pieces to be sent (None: all of it), names it drops)."""

AllSeen = Mapping[int, Seen]
"""The known elements of a body, by the id of their text."""


def pieced(text: bytes | memoryview, pieces: Bounds) -> bytes:
    """The bytes of the pieces of a text."""
    bounds = iter(pieces)
    return b"".join([text[start:stop] for start, stop in zip(bounds, bounds)])


class Cut(NamedTuple):
    """Where the bytes of elements that follow each other lie in a stretch, as they are sent."""

    pieces: Bounds
    tags: array[int]
    sizes: array[int]
    tag: int
    names: frozenset[str]
    alone: bool
    """It is a value by itself, of no list."""

    def text(self, stretch: memoryview) -> bytes | memoryview:
        """The bytes that are sent."""
        if len(self.pieces) == 2:
            start, stop = self.pieces
            return stretch[start:stop]
        return pieced(stretch, self.pieces)

    def run(self, stretch: memoryview) -> Run:
        """What stands for the elements of a list."""
        return Run(self.text(stretch), self.tags, self.sizes, self.tag)


Read = tuple[str, int, int]
"""(name, start, stop) of a member that is read each time."""


class Stretch(NamedTuple):
    """A part of a body that repeats, and the members that lie in it."""

    size: int
    mac: object
    reads: tuple[Read, ...]
    cuts: tuple[tuple[str, Cut], ...]
    cost: int
    """About what it takes of the memory."""


def stretch(size: int, mac: object, reads: Iterable[Read],
            cuts: Sequence[tuple[str, Cut]]) -> Stretch:
    """A stretch with its cost."""
    fields = (*reads,)
    cost = STRETCH_COST + MEMBER_COST * (len(fields) + len(cuts)) + sum([
        PIECE_COST // 2 * len(one.pieces) + ELEMENT_COST * len(one.tags) for _, one in cuts])
    return Stretch(size, mac, fields, (*cuts,), cost)


def leading(values: Sequence[bytes], seen: AllSeen,
            start: int) -> tuple[list[tuple[int, Seen]], int]:
    """The first elements that are known, each with its start, and where the last one stops."""
    elements: list[tuple[int, Seen]] = []
    at = start
    for value in values:
        entry = seen.get(id(value))
        if entry is None:
            break
        elements.append((at, entry))
        at += len(value) + 1
    return elements, at - 1


def cut(elements: Sequence[tuple[int, Seen]]) -> Cut:
    """Where the bytes of elements lie that start there."""
    pieces: list[int] = []
    sizes: list[int] = []
    names: set[str] = set()
    for start, (_, size, own, dropped) in elements:
        if pieces:
            _add(pieces, start - 1, start)
        sent = size
        if own is None:
            _add(pieces, start, start + size)
        else:
            sent = _add_all(pieces, own, start)
        sizes.append(sent)
        names.update(dropped)
    return _packed(pieces, [entry[0] for _, entry in elements], sizes, names)


def join(first: Cut, others: Sequence[tuple[int, Cut]]) -> Cut:
    """One cut of those of stretches that follow each other, each with where it starts."""
    pieces = first.pieces.tolist()
    tags, sizes, names = first.tags.tolist(), first.sizes.tolist(), set(first.names)
    for origin, other in others:
        _add(pieces, origin, origin + 1)
        _add_all(pieces, other.pieces, origin)
        tags += other.tags
        sizes += other.sizes
        names |= other.names
    return _packed(pieces, tags, sizes, names)


def _packed(pieces: list[int], tags: list[int], sizes: list[int], names: Iterable[str]) -> Cut:
    return Cut(array("I", pieces), array("q", tags), array("I", sizes), hash(tuple(tags)),
               frozenset(names), False)


def _add_all(pieces: list[int], further: Bounds, origin: int) -> int:
    """Pieces of what starts at `origin`; how many bytes they are."""
    bounds, size = iter(further), 0
    for start, stop in zip(bounds, bounds):
        _add(pieces, origin + start, origin + stop)
        size += stop - start
    return size


def _add(pieces: list[int], start: int, stop: int) -> None:
    """A further piece; one with the last where it follows on it."""
    if pieces and pieces[-1] == start:
        pieces[-1] = stop
    else:
        pieces += (start, stop)
