"""What stands in a body for elements that are sent as they are, unread.

Law: an element's text is its canonical JSON; nothing of it gets into a repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from relayd.wire.fields import GONE
from relayd.wire.numbers import decode_long


class Spliced:
    """An element as it is sent: `text` is its canonical JSON. `tag` is the hash of what came."""

    __slots__ = ("text", "tag", "_value")

    def __init__(self, text: bytes, tag: int, value: object = GONE) -> None:
        self.text = text
        self.tag = tag
        self._value = value

    def value(self) -> Any:
        """The element itself; read when it is first asked for."""
        if self._value is GONE:
            self._value = decode_long(self.text)
        return self._value

    def __repr__(self) -> str:
        return "Spliced(...)"


class Run:
    """Elements of a list that follow each other, as they are sent: `text` has commas between them.

    `tags` and `sizes` are those of each, `tag` stands for all.
    """

    __slots__ = ("text", "tags", "sizes", "tag")

    def __init__(self, text: bytes | memoryview, tags: Sequence[int], sizes: Sequence[int],
                 tag: int) -> None:
        self.text = text
        self.tags = tags
        self.sizes = sizes
        self.tag = tag

    def elements(self) -> Iterator[Spliced]:
        """Each by itself."""
        at = 0
        for tag, size in zip(self.tags, self.sizes, strict=True):
            yield Spliced(bytes(self.text[at:at + size]), tag)
            at += size + 1

    def __repr__(self) -> str:
        return "Run(...)"


def spliced(value: object) -> object:
    """For encoders: what stands for an element, or for a run of them."""
    if type(value) is Spliced or type(value) is Run:
        return msgspec.Raw(value.text)
    raise TypeError("not JSON")


def one_by_one(values: object) -> Iterator[Any]:
    """The values of a list, those of its runs each by itself; nothing of anything else."""
    for value in values if type(values) is list else ():
        if type(value) is Run:
            yield from value.elements()
        else:
            yield value
