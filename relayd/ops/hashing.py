"""Hashing passwords: on few threads of low priority, with a queue that ends.

Law: the event loop never hashes, and no flood of passwords takes a core from the relay: the
threads are few, the kernel runs them after all others, and beyond the queue the answer is
`sign_in_busy` at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from relayd.core.errors import RelayError
from relayd.core.password import (
    HASH_BYTES, LANES, MEMORY_KIB, SALT_BYTES, SCORED_CHARS_MAX, TIME_COST,
)
from relayd.ops.late import Late

if TYPE_CHECKING:
    import zxcvbn
else:
    zxcvbn = Late("zxcvbn")

THREADS: Final = 2
QUEUE_MAX: Final = 16
"""Passwords that wait for a thread: half a second's work."""
FAVOURED_MAX: Final = 16
"""Places at a thread of their own for who has been right before: a flood does not take them."""
NICE: Final = 15
RETRY_MS: Final = 2000
_NOBODY: Final = "nobody has this password"
_Result = TypeVar("_Result")


class Hashing:
    """The threads. `close()` them. `refused` counts what found the queue full."""

    def __init__(self, *, threads: int = THREADS, queue_max: int = QUEUE_MAX,
                 memory_kib: int = MEMORY_KIB, time_cost: int = TIME_COST) -> None:
        self._hasher = PasswordHasher(
            time_cost=time_cost, memory_cost=memory_kib, parallelism=LANES,
            hash_len=HASH_BYTES, salt_len=SALT_BYTES)
        self._common = _Lane(threads, threads + queue_max)
        self._favoured = _Lane(1, FAVOURED_MAX)
        self._nobody: str | None = None
        self.refused = 0

    @property
    def waiting(self) -> int:
        """How much is under way or waits."""
        return self._common.waiting + self._favoured.waiting

    async def hash(self, password: str) -> str:
        """Argon2id's text of a password (`core.password.prepared`). Raises `sign_in_busy`."""
        return await self._run(lambda: self._hasher.hash(password))

    async def right(
        self, hashed: str | None, password: str, *, favoured: bool = False
    ) -> bool:
        """Whether this is the password. Without a hash it takes as long, and is wrong."""
        return await self._run(lambda: self._right(hashed, password), favoured)

    async def score(self, password: str, words: Sequence[str]) -> int:
        """0 to 4: how soon a guesser who knows these words would have the password."""
        return await self._run(lambda: int(zxcvbn.zxcvbn(
            password[:SCORED_CHARS_MAX], [word[:SCORED_CHARS_MAX] for word in words],
            max_length=SCORED_CHARS_MAX)["score"]))

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than a new one is."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Ends the threads; what waits is not done."""
        for lane in (self._common, self._favoured):
            lane.executor.shutdown(wait=True, cancel_futures=True)

    def _right(self, hashed: str | None, password: str) -> bool:
        if hashed is None:
            if self._nobody is None:
                self._nobody = self._hasher.hash(_NOBODY)
            hashed, password = self._nobody, password + "\0"
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _Result], favoured: bool = False) -> _Result:
        lane = self._favoured if favoured else self._common
        if lane.waiting >= lane.most:
            self.refused += 1
            raise RelayError("sign_in_busy", retry_after_ms=RETRY_MS)
        lane.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(lane.executor, work)
        finally:
            lane.waiting -= 1


class _Lane:
    """Threads, and how much they may have before them."""

    def __init__(self, threads: int, most: int) -> None:
        self.executor = ThreadPoolExecutor(threads, "password", initializer=_step_back)
        self.most = most
        self.waiting = 0


def _step_back() -> None:
    """This thread runs when nothing else wants to (Linux: each thread has its own niceness).

    Where a sandbox refuses that, passwords are hashed all the same: the threads are few.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
