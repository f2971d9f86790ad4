"""Patterns of names, in which `*` stands for any text.

Law: a name is read once from left to right, whatever the pattern: as a regular expression one of
four or five `*` took a second for a name that a client had made for it.
"""

from __future__ import annotations


class Wildcard:
    """A pattern; without a `*` it stands for itself alone."""

    __slots__ = ("_first", "_between", "_last", "_length")

    def __init__(self, pattern: str) -> None:
        self._first, *rest = pattern.split("*")
        self._last = rest.pop() if rest else None
        self._between = [part for part in rest if part]
        self._length = len(self._first) + len(self._last or "")

    def stands_for(self, name: str) -> bool:
        """Whether the whole name is one of those that are meant."""
        first, last = self._first, self._last
        if last is None:
            return name == first
        if len(name) < self._length or not name.startswith(first) or not name.endswith(last):
            return False
        at, end = len(first), len(name) - len(last)
        for part in self._between:
            at = name.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True
