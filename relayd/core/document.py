"""Documents: the policy and the others, as versions that never change, and as blocks of text.

Law: a version is its text in every language, each with its hash; what was agreed to can be shown
again for as long as there is a store. A text knows headings, paragraphs, lists, tables and links,
nothing else: there is no way for markup of its own to reach a page.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal


DOCUMENT_NAMES: Final = ("privacy", "terms", "cookies", "subprocessors", "hosting")
AGREED_NAMES: Final = ("privacy", "terms")
"""Those that somebody agrees to; the others tell facts."""

VersionKind = Literal["first", "editorial", "material"]
"""editorial: the meaning is the same. material: everybody is told, and may have to agree."""
Gate = Literal["none", "console", "keys"]
GATES: Final[tuple[Gate, ...]] = ("none", "console", "keys")
"""What waits until a holder agrees to a material version: nothing; their pages; and new keys."""

BlockKind = Literal["heading", "paragraph", "list", "table"]
Sign = Literal["same", "added", "removed"]
_LINK: Final = re.compile(r"\[([^\]\n]+)\]\(((?:https://|mailto:|/)[^\s)]*)\)")
_RULE: Final = re.compile(r"\|(?:\s*-+\s*\|)+")


@dataclass(frozen=True, slots=True)
class Edition:
    """One version in one language. `items` are consents that are asked for anew."""

    name: str
    version: int
    language: str
    body: str = field(repr=False)
    digest: str
    kind: VersionKind
    gate: Gate
    summary: str
    items: tuple[str, ...]
    published_at_ms: int
    effective_at_ms: int


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line; with `href` a link."""

    text: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (of `level`), a paragraph, the items of a list, or the rows of a table."""

    kind: BlockKind
    lines: tuple[tuple[Span, ...], ...] = ()
    rows: tuple[tuple[tuple[Span, ...], ...], ...] = ()
    level: int = 0


def digest(body: str) -> str:
    """SHA-256 of the text, in hexadecimal digits."""
    return hashlib.sha256(body.encode("utf-8")).hexdigest()


def tidied(text: str) -> str:
    """The text as it is kept: no space at the ends of lines, no two empty lines in a row."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def spans(text: str) -> tuple[Span, ...]:
    """A line as pieces: `[words](https://...)` is a link, and so is a path of this site."""
    found: list[Span] = []
    at = 0
    for match in _LINK.finditer(text):
        if match.start() > at:
            found.append(Span(text[at:match.start()]))
        found.append(Span(match[1], match[2]))
        at = match.end()
    if at < len(text):
        found.append(Span(text[at:]))
    return tuple(found)


def blocks(body: str) -> Iterator[Block]:
    """The text as blocks, which empty lines part."""
    for piece in body.strip().split("\n\n"):
        lines = piece.strip().split("\n")
        if lines[0].startswith("#"):
            mark, _, text = lines[0].partition(" ")
            yield Block("heading", (spans(text),), level=len(mark))
        elif all(line.startswith("- ") for line in lines):
            yield Block("list", tuple(spans(line[2:]) for line in lines))
        elif all(line.startswith("|") and line.endswith("|") for line in lines):
            yield Block("table", rows=tuple(
                _cells(line) for line in lines if not _RULE.fullmatch(line)))
        else:
            # Chinese has no spaces between words: its paragraphs are one line each
            yield Block("paragraph", (spans(" ".join(lines)),))


def _cells(line: str) -> tuple[tuple[Span, ...], ...]:
    return tuple(spans(cell.strip()) for cell in line.strip("|").split("|"))


def difference(before: str, after: str) -> list[tuple[Sign, str]]:
    """What changed between two texts, line by line; lines that are the same stand between."""
    found: list[tuple[Sign, str]] = []
    one, other = before.splitlines(), after.splitlines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, one, other, False).get_opcodes():
        if tag == "equal":
            found += [("same", line) for line in one[a:b]]
        else:
            found += [("removed", line) for line in one[a:b]]
            found += [("added", line) for line in other[c:d]]
    return found


def changes(before: str, after: str, around: int = 2) -> list[tuple[Sign, str] | None]:
    """The same with what did not change left out, but for some lines `around`; None for a gap."""
    lines = difference(before, after)
    kept = {near for at, (sign, _) in enumerate(lines) if sign != "same"
            for near in range(at - around, at + around + 1)}
    found: list[tuple[Sign, str] | None] = []
    for at, line in enumerate(lines):
        if at in kept:
            found.append(line)
        elif found and found[-1] is not None:
            found.append(None)
    return found
