"""Adds up the tokens of one prompt: text up to a limit, and what is known without encoding.

Law: the time for a prompt is bounded, whatever it holds: beyond `PROMPT_CHARACTERS_MAX` text is
reckoned in proportion to what was encoded before. A tally keeps no text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from relayd.relay.count import count_text
from relayd.relay.prompt_memo import AccountMemo
from relayd.relay.tokenizer import Encodings, ModelEncoding
from relayd.wire.spliced import Run, Spliced, one_by_one

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

    __slots__ = ("encoding", "approximate", "_encodings", "_memo", "_texts", "_place", "_text",
                 "_read", "_fixed", "_bytes_left")

    def __init__(
        self, encodings: Encodings, encoding: ModelEncoding, memo: AccountMemo | None = None,
        bytes_max: int = sys.maxsize,
    ) -> None:
        """With `bytes_max` TooLong is raised before more than that is read and encoded."""
        self.encoding = encoding
        self.approximate = not encoding.exact
        self._encodings = encodings
        self._memo = memo
        self._texts = None if memo is None else memo.memo.texts
        self._place = 0 if memo is None else memo.place_of_texts(encoding)
        self._text = 0
        self._read = 0
        self._fixed = 0
        self._bytes_left = bytes_max

    def text(self, value: object) -> None:
        """Counts a text; a value of another type counts nothing."""
        if type(value) is not str or not value:
            return
        size = len(value)
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise TooLong
        read = self._read
        if self._texts is None or read + size > PROMPT_CHARACTERS_MAX:
            self._text += self._encoded(value, PROMPT_CHARACTERS_MAX - read)
        else:
            # Python hashes what lies in memory: two texts of one hash (pairs of Latin letters,
            # and Chinese characters of the same bytes) differ in length
            key = hash(value) ^ size ^ self._place
            tokens = self._texts.get(key)
            self._text += self._learned(value, key) if tokens is None else tokens
        self._read = read + size

    def once(self, value: object, where: str) -> Iterator[object]:
        """A value of a body, read, unless its count is known. `where` names the rule."""
        if type(value) is Run:
            yield from self._once_each(value, where)
        elif type(value) is not Spliced:
            yield value
        elif not self._known(key := self._place_of(where) ^ value.tag):
            self._charge(len(value.text))
            yield from self._counted(value.value(), key)

    def each(self, values: object, where: str) -> Iterator[Object]:
        """The objects of a list whose counts are not known."""
        place = None
        for value in values if type(values) is list else ():
            if type(value) is dict:
                yield value
            elif type(value) is Spliced or type(value) is Run:
                if place is None:
                    place = self._place_of(where)
                if not self._known(place ^ (value.tag if type(value) is Spliced else ~value.tag)):
                    yield from (read for read in self.once(value, where) if type(read) is dict)

    def _once_each(self, run: Run, where: str) -> Iterator[object]:
        """The same of elements that follow each other; what they add together is kept too."""
        key = self._place_of(where) ^ ~run.tag  # that of `together` is another
        if not self._known(key):
            for elements in self._counted(list(run.elements()), key):
                for element in elements:
                    yield from self.once(element, where)

    def together(self, values: object, where: str) -> Iterator[list[Object]]:
        """All objects of a list, for what can be counted with each other alone."""
        tags: list[int] = []
        size = 0
        for value in values if type(values) is list else ():
            if type(value) is Run:
                tags.extend(value.tags)
            elif type(value) is Spliced:
                tags.append(value.tag)
            else:
                tags = []
                break
            size += len(value.text)
        if not tags:
            yield objects(list(one_by_one(values)))
        elif not self._known(key := self._place_of(where) ^ hash(tuple(tags))):
            self._charge(size)
            yield from self._counted(objects(list(one_by_one(values))), key)

    def knows(self, run: Run, where: str) -> bool:
        """Adds what is known of elements that follow each other; False where it is not."""
        return self._known(self._place_of(where) ^ ~run.tag)

    def _place_of(self, where: str) -> int:
        return 0 if self._memo is None else self._memo.place(where, self.encoding)

    def _known(self, key: int) -> bool:
        """Adds what is known of an element; False where it is not."""
        memo = self._memo
        counted = None if memo is None else memo.memo.elements.get(key)
        if counted is None or self._read + counted[1] > PROMPT_CHARACTERS_MAX:
            return False
        self._text += counted[0]
        self._read += counted[1]
        self._fixed += counted[2]
        return True

    def _counted(self, value: Value, key: int) -> Iterator[Value]:
        """Hands out a value and keeps what was counted meanwhile, if that is exact."""
        text, read, fixed = self._text, self._read, self._fixed
        approximate, self.approximate = self.approximate, False
        yield value
        memo = self._memo
        if memo is not None and not self.approximate:
            memo.memo.put_element(key, (
                self._text - text, self._read - read, self._fixed - fixed))
        self.approximate = self.approximate or approximate

    def _charge(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise TooLong

    def _encoded(self, value: str, left: int) -> int:
        """The tokens of a text of which `left` characters may be encoded."""
        if left <= 0:
            self.approximate = True
            return self._text * len(value) // self._read
        tokens, exact = count_text(self._encodings, self.encoding.name, value, left)
        self.approximate = self.approximate or not exact
        return tokens

    def _learned(self, value: str, key: int) -> int:
        """The tokens of a text that is short enough and has not been counted before."""
        tokens, exact = count_text(self._encodings, self.encoding.name, value, len(value))
        if not exact:
            self.approximate = True
        elif self._memo is not None:
            self._memo.memo.put(key, tokens)
        return tokens

    def json(self, value: object, *, spaced: bool = False) -> None:
        """Counts a JSON value as its compact text, or as chat templates write it, with spaces;
        None counts nothing."""
        if value is None:
            return
        if spaced:
            try:
                self.text(json.dumps(value, ensure_ascii=False))
                return
            except RecursionError:
                pass  # as deep as what is read may be: it counts without spaces
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


def any_object(values: object) -> bool:
    """Whether a list has an object."""
    if type(values) is list and values and type(values[0]) is Run and values[0].text[:1] == b"{":
        return True  # as tools are, and nothing of them had to be copied
    return any(map(is_object, one_by_one(values)))


def opened(value: object) -> object:
    """A value of a body, read."""
    return value.value() if type(value) is Spliced else value


def member(value: object, name: str) -> object:
    """A member of a JSON object, None where there is no such object or member."""
    return value.get(name) if type(value) is dict else None
