"""One table of a configuration, read key by key: types, ranges, choices, and no key unread.

Law: a reader never raises; a wrong value becomes a fault and the default, so that one pass finds
every fault of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from relayd.ops.configfile_fault import Findings, Path, nearest

_KINDS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a text",
                 list: "a list", dict: "a table"}


def kind_of(value: object) -> str:
    """What a value is, in words for people."""
    return _KINDS.get(type(value), "a date or time")


def digits_of(value: object) -> str:
    """A decimal as a text: a whole number or a text as it stands; "" for all else, and for a
    number that is longer than any field takes."""
    if type(value) is int and abs(value) < 1 << 64:
        return str(value)
    return value if isinstance(value, str) else ""


class Section:
    """A table at `path`. Every accessor names a key as known; `done` reports the rest."""

    def __init__(self, values: Mapping[str, object], path: Path, findings: Findings) -> None:
        self.values = values
        self.path = path
        self.findings = findings
        self._known: set[str] = set()

    def fault(self, key: str, problem: str, remedy: str = "") -> None:
        """Records a fault of the key."""
        self.findings.fault((*self.path, key), problem, remedy)

    def warning(self, key: str, problem: str, remedy: str = "") -> None:
        """Records a warning about the key."""
        self.findings.warning((*self.path, key), problem, remedy)

    def has(self, key: str) -> bool:
        """True where the file sets the key."""
        return key in self.values

    def raw(self, key: str) -> object:
        """The value as TOML gives it, None where the key is absent."""
        self._known.add(key)
        return self.values.get(key)

    def _wrong(self, key: str, value: object, wanted: str) -> None:
        self.fault(key, f"is {kind_of(value)}", f"It takes {wanted}")

    def text(
        self, key: str, default: str | None = None, wanted: str = "a text"
    ) -> str | None:
        """A text that is not empty."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self._wrong(key, value, wanted)
            return default
        if not value or value != value.strip() or not value.isprintable():
            self.fault(key, "is empty, or has spaces or control characters where they cannot be")
            return default
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One word of a closed list."""
        words = f"one of {', '.join(choices)}"
        value = self.text(key, default, words)
        if value is not None and value in choices:
            return value
        if value is not None:
            self.fault(key, f"is not {words}", nearest(value, choices))
        return default

    def boolean(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(key, value, "true or false")
            return default
        return value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number in `low..high`."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(key, value, f"a whole number from {low} to {high}")
            return default
        if not low <= value <= high:
            self.fault(key, "is out of range", f"It takes a whole number from {low} to {high}")
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number in `low..high`, whole or not; never nan."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._wrong(key, value, f"a number from {low:g} to {high:g}")
            return default
        if not low <= value <= high:
            self.fault(key, "is out of range", f"It takes a number from {low:g} to {high:g}")
            return default
        return float(value)

    def texts(
        self, key: str, default: tuple[str, ...], judge: Callable[[str], str],
        *, empty: bool = True,
    ) -> tuple[str, ...]:
        """A list of texts, each passed by `judge`, which gives a problem or an empty text."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, list):
            self._wrong(key, value, "a list of texts")
            return default
        if not value and not empty:
            self.fault(key, "is an empty list", "Name at least one, or leave the key out")
            return default
        return tuple(item for index, item in enumerate(value)
                     if self._item(key, index, item, judge))

    def _item(self, key: str, index: int, item: object, judge: Callable[[str], str]) -> bool:
        where = (*self.path, key, index)
        if not isinstance(item, str):
            self.findings.fault(where, f"is {kind_of(item)}", "It takes a text")
            return False
        problem = judge(item)
        if problem:
            self.findings.fault(where, problem)
        return not problem

    def table(self, key: str) -> Section:
        """The table at the key; an empty one where it is absent or something else."""
        value = self.raw(key)
        if value is not None and not isinstance(value, dict):
            self._wrong(key, value, "a table")
        values = value if isinstance(value, dict) else {}
        return Section(values, (*self.path, key), self.findings)

    def tables(self, key: str) -> list[Section]:
        """The tables of a list; faults for items that are none."""
        value = self.raw(key)
        if not isinstance(value, list):
            if value is not None:
                self._wrong(key, value, "a list of tables")
            return []
        found = []
        for index, item in enumerate(value):
            where = (*self.path, key, index)
            if isinstance(item, dict):
                found.append(Section(item, where, self.findings))
            else:
                self.findings.fault(where, f"is {kind_of(item)}", "It takes a table")
        return found

    def done(self, aliases: Mapping[str, str] | None = None) -> None:
        """Reports every key that nothing has read; `aliases` maps usual mistakes to names."""
        for key in self.values:
            if key not in self._known:
                self.fault(key, "is not a known key", nearest(key, self._known, aliases))
