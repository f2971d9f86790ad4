"""Large bodies taken apart without reading them: the text of each member, and of each element of
the lists that grow from turn to turn.

Law: what is taken apart is exactly what a full reading would find, or nothing is: a body with
white space between its parts, members named twice or in escapes, or of other types is left to the
full reading. Texts are split here, not read: each must still be decoded, or be known.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Raw

_CONTAINERS: Final = frozenset((dict, list))
_ABSENT: Final = msgspec.UNSET


class Split:
    """Takes bodies apart whose members are among `names`; `lists` are those with elements."""

    __slots__ = ("_names", "_decode", "_values", "_alone")

    def __init__(self, names: Iterable[str], lists: Iterable[str]) -> None:
        self._names = tuple(names)
        elements = frozenset(lists)
        fields: list[tuple[str, Any, Any]] = [
            (name, (list[Raw] if name in elements else Raw) | msgspec.UnsetType, _ABSENT)
            for name in self._names
        ]
        shape = msgspec.defstruct("Body", fields, forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(shape).decode
        self._values = attrgetter(*self._names, *self._names[:1])  # of one name, too, a tuple
        self._alone: dict[tuple[str, ...], Split] = {}

    def alone(self, lists: tuple[str, ...]) -> Split:
        """For bodies that have some of the lists and nothing else."""
        split = self._alone.get(lists)
        if split is None:
            split = self._alone[lists] = Split(lists, lists)
        return split

    def take(self, raw: bytes) -> dict[str, bytes | list[bytes]] | None:
        """The texts by name, in the order of the names; None where they are not all of `raw`.

        A body without white space is as long as its parts and what joins them; with a member
        named twice it is longer. So equal lengths leave nothing that was not looked at.
        """
        try:
            body = self._decode(raw)
        except (ValueError, RecursionError):
            return None
        found: dict[str, bytes | list[bytes]] = {}
        size = 1
        for name, value in zip(self._names, self._values(body), strict=False):
            if value is _ABSENT:
                continue
            if type(value) is list:
                texts = found[name] = list(map(bytes, value))
                size += sum(map(len, texts)) + (len(texts) or 1) + 1
            else:
                text = found[name] = bytes(value)
                size += len(text)
            size += len(name) + 4
        return found if size == len(raw) else None


def too_deep(value: object, levels: int) -> bool:
    """Level by level, so that the depth of hostile input costs no stack."""
    level: list[object] = [value] if type(value) in _CONTAINERS else []
    for _ in range(levels):
        level = [
            inner for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)  # type: ignore
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return bool(level)
