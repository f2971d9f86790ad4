"""Counts of what was counted before: agents send the same 40 to 80 KB again every turn, and every
call its roles and its system prompt.

Texts are known by a hash of their own; elements of a body (a message, a tool) by the tag that
`wire/known.py` gave them, so that what is known to be known is neither read nor hashed again.

Law: the memo holds no text. What it is asked by is Python's own hash under the key of this process
(`hash_is_secret` of `wire/known.py` says whether nobody knows it: without that there may be no
memo), joined with an account's place, which is random too, so that nobody learns from a count's
speed what others have sent. It is bounded, and forgets everything at its bound.
"""

from __future__ import annotations

import hashlib
from typing import Final

from relayd.relay.tokenizer import ModelEncoding

ENTRIES_MAX: Final = 50_000
"""Of texts and of elements: about 6 MB each."""
ACCOUNTS_MAX: Final = 10_000

Counted = tuple[int, int, int]
"""What an element adds: tokens of text, its characters, tokens of the model itself."""


class PromptMemo:
    """The counts of all accounts. Used by the event loop and the counting thread."""

    __slots__ = ("texts", "elements", "accounts", "_secret", "_entries_max")

    def __init__(self, secret: bytes, entries_max: int = ENTRIES_MAX) -> None:
        self.texts: dict[int, int] = {}
        """Tokens of a text, by the account's place for texts and `Tally.text`'s hash."""
        self.elements: dict[int, Counted] = {}
        """What an element adds, by the account's place for its rule and its tag."""
        self._secret = secret
        self.accounts: dict[str, AccountMemo] = {}
        """What was made of `of` before."""
        self._entries_max = entries_max

    def of(self, account: str) -> AccountMemo:
        """The memo as one account sees it."""
        memo = self.accounts.get(account)
        if memo is None:
            if len(self.accounts) >= ACCOUNTS_MAX:
                self.accounts.clear()
            key = hashlib.blake2b(account.encode(), key=self._secret, digest_size=32).digest()
            memo = self.accounts[account] = AccountMemo(self, key)
        return memo

    def put(self, key: int, tokens: int) -> None:
        """Keeps a text's count; only exact ones are worth it."""
        if len(self.texts) >= self._entries_max:
            self.texts.clear()
        self.texts[key] = tokens

    def put_element(self, key: int, counted: Counted) -> None:
        """Keeps what an element adds; only exact counts are worth it."""
        if len(self.elements) >= self._entries_max:
            self.elements.clear()
        self.elements[key] = counted


class AccountMemo:
    """What tells the counts of one account from those of all others."""

    __slots__ = ("memo", "places", "_key")

    def __init__(self, memo: PromptMemo, key: bytes) -> None:
        self.memo = memo
        self._key = key
        self.places: dict[str, int] = {}
        """`place_of_texts` by the encoding's name, where it has been asked."""

    def place_of_texts(self, encoding: ModelEncoding) -> int:
        """The place of this account's texts under an encoding."""
        place = self.places[encoding.name] = hash((self._key, encoding.name))
        return place

    def place(self, where: str, encoding: ModelEncoding) -> int:
        """The place of what one rule reads for one kind of model, for this account."""
        return hash((self._key, where, encoding.name, encoding.family))
