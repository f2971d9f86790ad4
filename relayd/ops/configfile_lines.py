"""Finds the line of every key in a TOML text, which tomllib does not tell.

Law: runs only on text that tomllib has accepted, so it finds its way and does not judge; where it
meets something it does not expect it stops and keeps what it has.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

from relayd.ops.configfile_fault import Path

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_TEXT: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'", re.DOTALL)
_PLAIN: Final = re.compile(r"[^,\]}\n#]+")


def key_lines(text: str) -> dict[Path, int]:
    """Line numbers from 1 by path; list items are found too (`("server", "listen", 0)`)."""
    finder = _Finder(text)
    finder.run()
    return finder.lines


class _Finder:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._starts = [0] + [match.end() for match in re.finditer("\n", text)]
        self._tables: dict[Path, int] = {}

    def run(self) -> None:
        """Reads headers and pairs to the end of the text."""
        prefix: Path = ()
        while self._skip() and self.at < len(self.text):
            before = self.at
            if self._ahead("["):
                prefix = self._header()
            else:
                self._pair(prefix)
            if self.at == before:
                return

    def _header(self) -> Path:
        start, listed = self.at, self._ahead("[[")
        self.at += 2 if listed else 1
        path = self._in_lists(self._key())
        if listed:
            count = self._tables.get(path, 0)
            self._tables[path] = count + 1
            self._mark(path, start)
            path = (*path, count)
        self._mark(path, start)
        self.at += 2 if listed else 1
        return path

    def _in_lists(self, names: Path) -> Path:
        """`[a.b]` after `[[a]]` belongs to the last item of `a`."""
        path: Path = ()
        for index, name in enumerate(names):
            path = (*path, name)
            if path in self._tables and index < len(names) - 1:
                path = (*path, self._tables[path] - 1)
        return path

    def _pair(self, prefix: Path) -> None:
        start = self.at
        path = (*prefix, *self._key())
        for end in range(len(prefix) + 1, len(path) + 1):
            self._mark(path[:end], start)
        if self._ahead("="):
            self.at += 1
            self._value(path)

    def _key(self) -> Path:
        names: list[str | int] = []
        while (match := _KEY.match(self.text, self.at)) is not None:
            raw, self.at = match[1], match.end()
            quoted = raw[0] in "\"'"
            names.append(tomllib.loads(f"key = {raw}")["key"] if quoted else raw)
            if not self._ahead("."):
                break
            self.at += 1
        return tuple(names)

    def _value(self, path: Path) -> None:
        self._skip()
        if self._ahead("{"):
            self._many(path, "}")
        elif self._ahead("["):
            self._many(path, "]")
        else:
            match = _TEXT.match(self.text, self.at) or _PLAIN.match(self.text, self.at)
            self.at = match.end() if match else self.at

    def _many(self, path: Path, end: str) -> None:
        self.at += 1
        index = 0
        while self._skip() and not self._ahead(end):
            before = self.at
            if end == "}":
                self._pair(path)
            else:
                self._mark((*path, index), self.at)
                self._value((*path, index))
                index += 1
            self._skip()
            self.at += self._ahead(",")
            if self.at == before:
                return
        self.at += 1

    def _mark(self, path: Path, offset: int) -> None:
        self.lines.setdefault(path, bisect_right(self._starts, offset))

    def _ahead(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _skip(self) -> bool:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return True
