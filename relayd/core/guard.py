"""The guard at the door: who has tried too often, by account and by where from.

Law: an attempt counts when it begins, so that many at once count as many; only a right one is
forgiven. What is counted is known by keyed digests, never by names or addresses, and a name that
nobody has is counted like any other. Attempts from where an account was right before are counted
apart: strangers lock nobody out of their own network. What is refused unheard takes no room of
what is remembered. The clock is given.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

SPAN_MS: Final = 15 * 60_000
"""Attempts older than this are forgotten, and a lock-out lasts as long."""
FREE: Final = 4
"""Attempts that need not wait; each further one waits twice as long as the last."""
FIRST_WAIT_MS: Final = 500
WAIT_MS_MAX: Final = 30_000
ACCOUNT_MAX: Final = 10
PREFIX_MAX: Final = 100
KNOWN_MAX: Final = 100_000
"""Accounts and prefixes that are remembered; the one longest unseen makes room."""


@dataclass(slots=True)
class Tries:
    """The attempts of one account or prefix since `since_ms`; refused until `closed_until_ms`."""

    since_ms: int
    count: int = 0
    closed_until_ms: int = 0
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait_ms` 0: go on. `locks`: this attempt is the one that locked the account out."""

    wait_ms: int = 0
    locked: bool = False
    locks: bool = False


class Guard:
    """The attempts of all; bounded. `refused` counts what was turned away unheard."""

    def __init__(self, known_max: int = KNOWN_MAX) -> None:
        self._known_max = known_max
        self._tries: OrderedDict[bytes, Tries] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._tries)

    def begin(self, account: bytes, prefix: bytes, now_ms: int) -> Verdict:
        """Counts an attempt, and says whether it is heard."""
        keys = self._keys(account, prefix)
        both = self._of(keys[0], now_ms), self._of(keys[1], now_ms)
        closed = max(both, key=lambda tries: tries.closed_until_ms)
        if closed.closed_until_ms > now_ms:
            self.refused += 1
            return Verdict(closed.closed_until_ms - now_ms, closed.locked)
        for key, tries in zip(keys, both, strict=True):
            self._keep(key, tries)
        _count(both[0], ACCOUNT_MAX, now_ms)
        # many people may be behind one address: they are slowed only when most are wrong
        _count(both[1], PREFIX_MAX, now_ms, free=PREFIX_MAX // 2)
        return Verdict(locks=both[0].locked)

    def right(self, account: bytes, prefix: bytes) -> None:
        """The attempt was right: what it was counted with is forgiven, and one of the prefix's."""
        key, other = self._keys(account, prefix)
        self._tries.pop(key, None)
        self._good[account + prefix] = None
        if len(self._good) > self._known_max:
            self._good.popitem(last=False)
        tries = self._tries.get(other)
        if tries is not None and not tries.locked:
            tries.count = max(0, tries.count - 1)
            tries.closed_until_ms = 0

    def favours(self, account: bytes, prefix: bytes) -> bool:
        """Whether the account was right from there before: in a flood it goes first."""
        return account + prefix in self._good

    def undo(self, account: bytes, prefix: bytes) -> None:
        """The attempt was not heard after all: there was no room to judge it."""
        for key, most in zip(
                self._keys(account, prefix), (ACCOUNT_MAX, PREFIX_MAX), strict=True):
            tries = self._tries.get(key)
            if tries is None:
                continue
            tries.count = max(0, tries.count - 1)
            # it was heard, so nothing was closed before it: what is, it has closed itself
            tries.closed_until_ms = 0
            tries.locked = tries.count >= most
            if not tries.count:
                del self._tries[key]

    def forgive(self, account: bytes, prefix: bytes = b"") -> None:
        """The owner has proved by another way who they are, from there."""
        self._tries.pop(b"a" + account, None)
        self._tries.pop(b"g" + account + prefix, None)

    def _keys(self, account: bytes, prefix: bytes) -> tuple[bytes, bytes]:
        """What an attempt counts for: the account, or its own network, and the prefix."""
        own = self.favours(account, prefix)
        return b"g" + account + prefix if own else b"a" + account, b"p" + prefix

    def _of(self, key: bytes, now_ms: int) -> Tries:
        """What is remembered, or the first of it, which is not kept yet."""
        tries = self._tries.get(key)
        # nothing ends later than a span from now: what would is of a clock that was ahead
        if tries is None or abs(now_ms - tries.since_ms) >= SPAN_MS and not (
                now_ms < tries.closed_until_ms <= now_ms + SPAN_MS):
            return Tries(now_ms)
        self._tries.move_to_end(key)
        return tries

    def _keep(self, key: bytes, tries: Tries) -> None:
        self._tries[key] = tries
        self._tries.move_to_end(key)
        while len(self._tries) > self._known_max:
            self._tries.popitem(last=False)


def _count(tries: Tries, most: int, now_ms: int, free: int = FREE) -> None:
    tries.count += 1
    if tries.count >= most:
        tries.locked = True
        tries.closed_until_ms = now_ms + SPAN_MS
    elif tries.count > free:
        wait_ms = min(WAIT_MS_MAX, FIRST_WAIT_MS << (tries.count - free - 1))
        tries.closed_until_ms = now_ms + wait_ms
