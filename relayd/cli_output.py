"""How commands print: tables for people, one JSON document for programs.

Law: with `--json` stdout holds one document and nothing else; errors and questions go to stderr.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

import orjson

from relayd.core.money import decimal
from relayd.core.timestamp import rfc3339

_GAP: Final = "  "
_UTF_8: Final = "utf-8"
_PAGE: Final = 1000
"""Rows of a table that has any number of them."""
Item = TypeVar("Item")


def document(value: object) -> None:
    """Print a value as JSON."""
    raw(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


async def items(values: AsyncIterator[object]) -> None:
    """Print a list as JSON, each value as it comes: it may be long."""
    separator = b"[\n"
    async for value in values:
        raw(separator + orjson.dumps(value))
        separator = b",\n"
    raw(b"[]\n" if separator == b"[\n" else b"\n]\n")


def raw(piece: bytes) -> None:
    """Print a piece of a document that is made elsewhere; it is UTF-8 on every terminal."""
    if codecs.lookup(sys.stdout.encoding or _UTF_8).name == _UTF_8:
        sys.stdout.write(piece.decode(_UTF_8))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(piece)


def text(sentence: str) -> None:
    """Print a line for people."""
    sys.stdout.write(sentence + "\n")


def agreed(question: str) -> bool:
    """Whether who sits at the terminal says yes; True where nobody does."""
    if sys.stdin is None or not sys.stdin.isatty():
        return True
    print(f"{question} Type yes: ", end="", file=sys.stderr, flush=True)
    return input() == "yes"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their heads: numbers to the right, absent values as `-`."""
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[index]) for line in (heads, *shown)) for index in range(len(heads))]
    numeric = [_numbers([row[index] for row in rows]) for index in range(len(heads))]
    for line in (list(heads), *shown):
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        text(_GAP.join(cells).rstrip())


async def paged(found: AsyncIterator[Item]) -> AsyncIterator[list[Item]]:
    """What a long table is made of: a page at a time, each with its own heads and widths. At least
    one, which may be empty."""
    page: list[Item] = []
    async for each in found:
        if len(page) == _PAGE:
            yield page
            page = []
        page.append(each)
    yield page


def _numbers(values: Sequence[object]) -> bool:
    """Whether a column holds numbers, apart from absent values."""
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) for value in present)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)


def moment(unix_ms: int | None) -> str | None:
    """A time for people: UTC, to the second."""
    return None if unix_ms is None else rfc3339(unix_ms)[:19].replace("T", " ") + "Z"


def amount(nano: int, currency: str) -> str | None:
    """An amount for people; None where there is none."""
    if nano == 0:
        return None
    return f"{decimal(nano, 2)} {currency}".rstrip()
