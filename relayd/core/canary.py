"""Canaries: marked texts that stand where content is, and the forms in which a copy may lie about.

Law: pure. A mark is new for each run, so that what is found is of this run. It comes in three
scripts, because an interpreter keeps Latin, Chinese and emoji text in memory in different widths.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final, NamedTuple

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
LATIN_CHARS: Final = 18
HAN_FIRST, HAN_COUNT, HAN_CHARS = 0x4E00, 0x5000, 10
EMOJI_FIRST, EMOJI_COUNT, EMOJI_CHARS = 0x1F300, 0x200, 8
RANDOM_BYTES: Final = 2 * (2 * LATIN_CHARS + HAN_CHARS + EMOJI_CHARS)
FORMS: Final = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "json", "percent",
                "base64")
"""The forms that are searched for. base64 has three alignments; `json` is \\uXXXX."""

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class Mark(NamedTuple):
    """The marks of one run: content in three scripts, and `identity` for what tells a client."""

    latin: str
    han: str
    emoji: str
    identity: str

    @property
    def text(self) -> str:
        """One text with all scripts of the content's mark."""
        return f"{self.latin} {self.han} {self.emoji}"


class Needle(NamedTuple):
    """What is searched for: which mark, in which form, as which bytes."""

    mark: str
    form: str
    data: bytes


def _pick(random: bytes, first: int, count: int) -> str:
    numbers = [int.from_bytes(random[at:at + 2], "big") for at in range(0, len(random), 2)]
    return "".join(chr(first + number % count) for number in numbers)


def mark_of(random: bytes) -> Mark:
    """The marks that these RANDOM_BYTES stand for."""
    if len(random) != RANDOM_BYTES:
        raise AssertionError(f"a mark takes {RANDOM_BYTES} random bytes")
    letters = (ord(LETTERS[0]), len(LETTERS))
    at, parts = 0, []
    for chars, first, count in ((LATIN_CHARS, *letters), (HAN_CHARS, HAN_FIRST, HAN_COUNT),
                                (EMOJI_CHARS, EMOJI_FIRST, EMOJI_COUNT), (LATIN_CHARS, *letters)):
        parts.append(_pick(random[at:at + 2 * chars], first, count))
        at += 2 * chars
    return Mark(*parts)


def needles(mark: Mark, *, identity: bool = True) -> list[Needle]:
    """Every mark in every form; those of identity are left out where it is not asked for."""
    names = ("latin", "han", "emoji", *(("identity",) if identity else ()))
    return [Needle(name, form, data) for name in names
            for form, data in _forms(getattr(mark, name))]


def _forms(text: str) -> Iterator[tuple[str, bytes]]:
    plain = text.encode("utf-8")
    yield "utf-8", plain
    for form in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        yield form, text.encode(form)
    for escaped in {_escaped(text), _escaped(text).upper().replace(b"\\U", b"\\u")} - {plain}:
        yield "json", escaped
    if not text.isascii():
        yield "percent", b"".join(b"%%%02X" % octet for octet in plain)
    for aligned in _aligned(plain):
        for data in {aligned, aligned.translate(_URL_SAFE)}:
            yield "base64", data


def _escaped(text: str) -> bytes:
    """As JSON escapes it: UTF-16 units in four digits."""
    units = text.encode("utf-16-be")
    if text.isascii():
        return text.encode("ascii")
    return b"".join(b"\\u%02x%02x" % (units[at], units[at + 1])
                    for at in range(0, len(units), 2))


def _aligned(plain: bytes) -> Iterator[bytes]:
    """Its base64 wherever it begins in a group of three; without the digits that others share."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + plain)
        first = -(-before * 8 // 6)
        last = (before + len(plain)) * 8 // 6
        yield digits[first:last]


def count(data: bytes, wanted: list[Needle]) -> dict[tuple[str, str], int]:
    """How often each (mark, form) is in some bytes; without those that are not."""
    found: dict[tuple[str, str], int] = {}
    for needle in wanted:
        if number := data.count(needle.data):
            key = (needle.mark, needle.form)
            found[key] = found.get(key, 0) + number
    return found
