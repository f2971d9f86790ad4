"""Faults and warnings of a configuration: what is wrong, where, and what would be right.

Law: a fault names keys and says rules; it never repeats a value, because a value may be a secret.
"""

from __future__ import annotations

import difflib
import os
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]
"""Where a value stands: names of tables and keys, and indices of lists."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {i: f"\\u{i:04X}" for i in (*range(0x20), 0x7F)} | {0x22: '\\"', 0x5C: "\\\\"}


def dotted(path: Path) -> str:
    """The path as TOML writes it, indices in brackets: `routes."a.b".deployments[0].model`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE.fullmatch(part) else '"' + part.translate(_ESCAPES) + '"'
        text += f".{name}" if text else name
    return text


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding. `key` is empty and `line` None where the fault is of the whole file."""

    key: str
    line: int | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        key = f"{self.key}: " if self.key else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{place}{key}{self.problem}{remedy}"


class ConfigError(Exception):
    """The configuration cannot be used; `faults` holds every reason, in the file's order.

    `file` is its name, where it has one.
    """

    def __init__(self, faults: Sequence[Fault], file: str = "") -> None:
        super().__init__("\n".join(
            f"{file}: {fault}" if file and file not in fault.problem else str(fault)
            for fault in faults))
        self.faults = list(faults)


@dataclass(slots=True)
class Findings:
    """Collects faults and warnings while a file is read; `lines` is the map of its keys."""

    lines: Mapping[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, problem: str, remedy: str = "") -> None:
        """Records that the value at `path` makes the file unusable."""
        self.faults.append(Fault(dotted(path), self.line(path), problem, remedy))

    def warning(self, path: Path, problem: str, remedy: str = "") -> None:
        """Records that the value at `path` is usable but likely not what is meant."""
        self.warnings.append(Fault(dotted(path), self.line(path), problem, remedy))

    def line(self, path: Path) -> int | None:
        """The line of the key, or of the nearest table around it that the file has."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def words_of(error: OSError | ValueError) -> str:
    """Why a file cannot be used, as the system says it; a library's words may hold more."""
    plain = isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno
    return os.strerror(plain) if plain else type(error).__name__


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults as a reader of the file meets them; those without a line come last."""
    return sorted(faults, key=lambda f: (f.line is None, f.line or 0))


def nearest(name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> str:
    """A sentence that offers the known name most like `name`, else lists them all."""
    names = sorted(known)
    meant = (aliases or {}).get(name.lower())
    close = [meant] if meant in names else difflib.get_close_matches(name, names, 1, 0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known here: {', '.join(names)}" if names else ""
