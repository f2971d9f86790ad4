"""ULIDs: ids of 26 characters that sort by time (the ULID specification, Crockford base 32).

Law: pure; the time and the entropy are given. Within a process ids only grow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TIME_BITS: Final = 48
RANDOM_BITS: Final = 80
RANDOM_BYTES: Final = RANDOM_BITS // 8
ENTROPY_BLOCK_BYTES: Final = 4096
"""Entropy is drawn in blocks: one system call for 409 ids."""

LOW_BITS: Final = 20
_LOW_END: Final = 1 << LOW_BITS
_HIGH_END: Final = 1 << RANDOM_BITS - LOW_BITS
_HALF: Final = (1 << 40) - 1
# Ten bits at a time: a look-up for every second character.
_PAIRS: Final = tuple(a + b for a in ALPHABET for b in ALPHABET)


def _forty_bits(value: int) -> str:
    """Eight characters for 40 bits."""
    pairs = _PAIRS
    return (f"{pairs[value >> 30]}{pairs[value >> 20 & 1023]}"
            f"{pairs[value >> 10 & 1023]}{pairs[value & 1023]}")


def _time(unix_ms: int) -> str:
    """Ten characters: two zero bits, then 48 bits of time."""
    if not 0 <= unix_ms < 1 << TIME_BITS:
        raise AssertionError("a ULID holds 48 bits of Unix milliseconds")
    return _PAIRS[unix_ms >> 40] + _forty_bits(unix_ms & _HALF)


def ulid(unix_ms: int, random80: bytes) -> str:
    """The ULID of a time and 10 random bytes; equal input, equal id."""
    if len(random80) != RANDOM_BYTES:
        raise AssertionError("a ULID takes 10 random bytes")
    value = int.from_bytes(random80, "big")
    return _time(unix_ms) + _forty_bits(value >> 40) + _forty_bits(value & _HALF)


class Ulids:
    """Makes ULIDs: called with Unix milliseconds; `entropy(n)` gives n random bytes.

    Ids of one process are strictly increasing: within a millisecond, or while the time stands
    behind the last id, the random part counts up by one (as the specification says); where it
    would overflow, the time moves on by a millisecond.

    `_low` are the last 20 bits, which count up; `_high` are the 60 random bits before them, and
    `_head` is all of the id but its last four characters.
    """

    __slots__ = ("_entropy", "_block", "_offset", "_ms", "_quarter", "_date", "_head",
                 "_high", "_low")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._block = b""
        self._offset = 0
        self._ms = -1
        self._quarter = -1
        self._date = ""
        self._head = ""
        self._high = 0
        self._low = 0

    def __call__(self, now_ms: int) -> str:
        """The next id."""
        low = self._low + 1
        if now_ms > self._ms:
            low = self._start(now_ms)
        elif low == _LOW_END:
            low = self._carry()
        self._low = low
        return self._head + _PAIRS[low >> 10] + _PAIRS[low & 1023]

    def _carry(self) -> int:
        """Counts on where the last bits are used up."""
        self._high += 1
        if self._high == _HIGH_END:
            return self._start(self._ms + 1)
        self._name()
        return 0

    def _start(self, unix_ms: int) -> int:
        """Begins a millisecond with fresh random bits; returns the last of them."""
        end = self._offset + RANDOM_BYTES
        if end > len(self._block):
            self._block = self._entropy(ENTROPY_BLOCK_BYTES)
            self._offset, end = 0, RANDOM_BYTES
        drawn = int.from_bytes(self._block[self._offset:end], "big")
        self._offset = end
        self._ms = unix_ms
        self._high = drawn >> LOW_BITS
        self._name()
        return drawn & _LOW_END - 1

    def _name(self) -> None:
        ms, high, pairs = self._ms, self._high, _PAIRS
        if ms >> LOW_BITS != self._quarter:  # of an hour: the six characters that stay
            self._quarter = ms >> LOW_BITS
            self._date = _time(ms)[:6]
        self._head = (f"{self._date}{pairs[ms >> 10 & 1023]}{pairs[ms & 1023]}"
                      f"{pairs[high >> 50]}{pairs[high >> 40 & 1023]}{pairs[high >> 30 & 1023]}"
                      f"{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}")
