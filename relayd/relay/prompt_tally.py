"""Adds up the tokens of one prompt: text up to a limit, and what is known without encoding.

Law: the time for a prompt is bounded, whatever it holds: beyond `PROMPT_CHARACTERS_MAX` text is
reckoned in proportion to what was encoded before. A tally keeps no text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from relayd.relay.count import count_text
from relayd.relay.prompt_memo import TEXT_CHARACTERS_MIN, AccountMemo
from relayd.relay.tokenizer import Encodings, ModelEncoding
from relayd.wire.known import Spliced

PROMPT_CHARACTERS_MAX: Final = 1024 * 1024
"""Characters of one prompt that are encoded: 0.06 s of a thread for prose, 0.3 at worst."""

Object = dict[str, object]
"""A JSON object of a parsed body."""

Value = TypeVar("Value")


class TooLong(Exception):
    """More has to be encoded than this tally may."""


class Tally:
    """The count of one prompt as it grows; `approximate` once something was not exact.

    `once`, `each` and `together` hand out what has to be counted and leave out what the memo knows
    the count of; what is counted until the next is asked for belongs to the one handed out.
    """

    __slots__ = ("encoding", "approximate", "_encodings", "_memo", "_text", "_read", "_fixed",
                 "_bytes_left", "_places")

    def __init__(
        self, encodings: Encodings, encoding: ModelEncoding, memo: AccountMemo | None = None,
        bytes_max: int | None = None,
    ) -> None:
        """With `bytes_max` TooLong is raised before more than that is read and encoded."""
        self.encoding = encoding
        self._memo = memo
        self._bytes_left = bytes_max
        self._places: dict[str, int] = {}
        self.approximate = not encoding.exact
        self._encodings = encodings
        self._text = 0
        self._read = 0
        self._fixed = 0

    def text(self, value: object) -> None:
        """Counts a text; a value of another type counts nothing."""
        if type(value) is not str or not value:
            return
        left = PROMPT_CHARACTERS_MAX - self._read
        self._charge(len(value))
        if left > 0:
            tokens = self._encoded(value, left)
        else:
            tokens = self._text * len(value) // self._read
            self.approximate = True
        self._text += tokens
        self._read += len(value)

    def once(self, value: object, where: str) -> Iterator[object]:
        """A value of a body, read, unless its count is known. `where` names the rule."""
        if type(value) is not Spliced:
            yield value
        elif not self._known(value.tag, where):
            self._charge(len(value.text))
            yield from self._counted(value.value(), value.tag, where)

    def each(self, values: object, where: str) -> Iterator[Object]:
        """The objects of a list whose counts are not known."""
        for value in values if type(values) is list else ():
            if type(value) is dict:
                yield value
            elif type(value) is Spliced:
                yield from (read for read in self.once(value, where) if type(read) is dict)

    def together(self, values: object, where: str) -> Iterator[list[Object]]:
        """All objects of a list, for what can be counted with each other alone."""
        tags: list[int] = []
        size = 0
        for value in values if type(values) is list else ():
            if type(value) is not Spliced:
                tags = []
                break
            tags.append(value.tag)
            size += len(value.text)
        tag = hash(tuple(tags))
        if not tags:
            yield objects(values)
        elif not self._known(tag, where):
            self._charge(size)
            yield from self._counted(objects(values), tag, where)

    def _known(self, tag: int, where: str) -> bool:
        """Adds what is known of an element; False where it is not."""
        memo = self._memo
        counted = None if memo is None else memo.element(self._place(memo, where), tag)
        if counted is None or self._read + counted[1] > PROMPT_CHARACTERS_MAX:
            return False
        self._text += counted[0]
        self._read += counted[1]
        self._fixed += counted[2]
        return True

    def _counted(self, value: Value, tag: int, where: str) -> Iterator[Value]:
        """Hands out a value and keeps what was counted meanwhile, if that is exact."""
        text, read, fixed = self._text, self._read, self._fixed
        approximate, self.approximate = self.approximate, False
        yield value
        memo = self._memo
        if memo is not None and not self.approximate:
            memo.put_element(self._place(memo, where), tag, (
                self._text - text, self._read - read, self._fixed - fixed))
        self.approximate = self.approximate or approximate

    def _place(self, memo: AccountMemo, where: str) -> int:
        place = self._places.get(where)
        if place is None:
            place = self._places[where] = memo.place(where, self.encoding)
        return place

    def _charge(self, size: int) -> None:
        if self._bytes_left is not None:
            self._bytes_left -= size
            if self._bytes_left < 0:
                raise TooLong

    def _encoded(self, value: str, left: int) -> int:
        """The tokens of a text, from the memo where it was counted before."""
        memo = self._memo
        if memo is None or not TEXT_CHARACTERS_MIN <= len(value) <= left:
            tokens, exact = count_text(self._encodings, self.encoding.name, value, left)
            self.approximate = self.approximate or not exact
            return tokens
        digest = memo.digest(self.encoding.name, value)
        known = memo.get(digest)
        if known is not None:
            return known
        tokens, exact = count_text(self._encodings, self.encoding.name, value, left)
        if exact:
            memo.put(digest, tokens)
        else:
            self.approximate = True
        return tokens

    def json(self, value: object) -> None:
        """Counts a JSON value as its compact text; None counts nothing."""
        if value is None:
            return
        try:
            self.text(msgspec.json.encode(value).decode())
        except ValueError:
            # a lone surrogate, which a body may hold as an escape
            self.text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def fixed(self, tokens: int) -> None:
        """Adds tokens of the model itself: overheads, images, token ids. May be negative."""
        self._fixed += tokens

    def total(self) -> int:
        """All tokens: those of text by the model's factor, the fixed ones as they are."""
        return max(self.encoding.scaled(self._text) + self._fixed, 0)


def objects(value: object) -> list[Object]:
    """The JSON objects of a list; anything else has none."""
    if type(value) is not list:
        return []
    return [read for item in value if type(read := opened(item)) is dict]


def is_object(value: object) -> bool:
    """Whether a value of a body is a JSON object, read or not."""
    return type(value) is dict or (type(value) is Spliced and value.text.startswith(b"{"))


def opened(value: object) -> object:
    """A value of a body, read."""
    return value.value() if type(value) is Spliced else value


def member(value: object, name: str) -> object:
    """A member of a JSON object, None where there is no such object or member."""
    return value.get(name) if type(value) is dict else None
