"""Counts of what was counted before: agents send the same 40 to 80 KB again every turn.

Texts are known by a hash of their own; elements of a body (a message, a tool) by the tag that
`wire/known.py` gave them, so that what is known to be known is neither read nor hashed again.

Law: the memo holds no text. A count is found by a hash of the text under a key that is random, in
memory only and different for each account, so that nobody learns from a count's speed what others
have sent. It is bounded, and forgets everything at its bound.
"""

from __future__ import annotations

import hashlib
from typing import Final

from relayd.relay.tokenizer import ModelEncoding

TEXT_CHARACTERS_MIN: Final = 48
"""Shorter texts are encoded sooner than they are hashed and looked up."""
ENTRIES_MAX: Final = 50_000
"""Of texts and of elements: about 6 MB each."""
ACCOUNTS_MAX: Final = 10_000

Counted = tuple[int, int, int]
"""What an element adds: tokens of text, its characters, tokens of the model itself."""


class PromptMemo:
    """The counts of all accounts. Used by the event loop and the counting thread."""

    __slots__ = ("_secret", "_counts", "_elements", "_keys", "_entries_max")

    def __init__(self, secret: bytes, entries_max: int = ENTRIES_MAX) -> None:
        self._secret = secret
        self._counts: dict[bytes, int] = {}
        self._elements: dict[int, Counted] = {}
        self._keys: dict[str, bytes] = {}
        self._entries_max = entries_max

    def of(self, account: str) -> AccountMemo:
        """The memo as one account sees it."""
        key = self._keys.get(account)
        if key is None:
            if len(self._keys) >= ACCOUNTS_MAX:
                self._keys.clear()
            key = hashlib.blake2b(account.encode(), key=self._secret, digest_size=32).digest()
            self._keys[account] = key
        return AccountMemo(self, key)

    def get(self, digest: bytes) -> int | None:
        """The count under a digest, None where it is not known."""
        return self._counts.get(digest)

    def put(self, digest: bytes, tokens: int) -> None:
        """Keeps a count."""
        if len(self._counts) >= self._entries_max:
            self._counts.clear()
        self._counts[digest] = tokens

    def element(self, key: int) -> Counted | None:
        """What an element adds, None where it is not known."""
        return self._elements.get(key)

    def put_element(self, key: int, counted: Counted) -> None:
        """Keeps what an element adds."""
        if len(self._elements) >= self._entries_max:
            self._elements.clear()
        self._elements[key] = counted


class AccountMemo:
    """Finds and keeps the counts of one account."""

    __slots__ = ("_memo", "_key")

    def __init__(self, memo: PromptMemo, key: bytes) -> None:
        self._memo = memo
        self._key = key

    def digest(self, encoding: str, text: str) -> bytes:
        """What a text is known by under an encoding (BLAKE2b, RFC 7693, keyed)."""
        return hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16,
            person=encoding.encode()).digest()

    def get(self, digest: bytes) -> int | None:
        """The count under a digest, None where it is not known."""
        return self._memo.get(digest)

    def put(self, digest: bytes, tokens: int) -> None:
        """Keeps a count; only exact ones are worth it."""
        self._memo.put(digest, tokens)

    def place(self, where: str, encoding: ModelEncoding) -> int:
        """What tells the counts of one rule and one kind of model apart, for this account."""
        return hash((self._key, where, encoding.name, encoding.family))

    def element(self, place: int, tag: int) -> Counted | None:
        """What the element of this tag adds, None where it is not known."""
        return self._memo.element(place ^ tag)

    def put_element(self, place: int, tag: int, counted: Counted) -> None:
        """Keeps what an element adds; only exact counts are worth it."""
        self._memo.put_element(place ^ tag, counted)
