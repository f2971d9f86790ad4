"""Adds up the tokens of one prompt: text up to a limit, and what is known without encoding.

Law: the time for a prompt is bounded, whatever it holds: beyond `PROMPT_CHARACTERS_MAX` text is
reckoned in proportion to what was encoded before. A tally keeps no text.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from relayd.relay.count import count_text
from relayd.relay.prompt_memo import TEXT_CHARACTERS_MIN, AccountMemo
from relayd.relay.tokenizer import Encodings, ModelEncoding

PROMPT_CHARACTERS_MAX: Final = 512 * 1024
"""Characters of one prompt that are encoded: 0.06 s of a thread for prose, 0.4 at worst."""

Object = dict[str, object]
"""A JSON object of a parsed body."""


class Tally:
    """The count of one prompt as it grows; `approximate` once something was not exact."""

    __slots__ = ("encoding", "approximate", "_encodings", "_memo", "_text", "_read", "_fixed")

    def __init__(
        self, encodings: Encodings, encoding: ModelEncoding, memo: AccountMemo | None = None
    ) -> None:
        self.encoding = encoding
        self._memo = memo
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
        if left > 0:
            tokens = self._encoded(value, left)
        else:
            tokens = self._text * len(value) // self._read
            self.approximate = True
        self._text += tokens
        self._read += len(value)

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
    return [item for item in value if type(item) is dict]


def member(value: object, name: str) -> object:
    """A member of a JSON object, None where there is no such object or member."""
    return value.get(name) if type(value) is dict else None
