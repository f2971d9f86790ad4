"""The door: what signing in needs besides the store, in one place.

Law: the guard knows accounts and addresses by keyed hashes; those of addresses change every day.
Answers that depend on whether somebody has an account take the same time.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from relayd.core.actor import Actor, Via
from relayd.core.errors import RelayError
from relayd.core.guard import Guard
from relayd.core.network import pseudonym
from relayd.core.timestamp import DAY_MS
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.ops.clock import monotonic
from relayd.ops.hashing import Hashing
from relayd.store.db import Database
from relayd.store.secret import derived

GUARD_LABEL: Final = "guard at the door"
SALT_BYTES: Final = 32
STEADY_SECONDS: Final = 0.25
"""How long an answer takes that must not tell whether somebody has an account."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request is from: the address, and two words of a device."""

    address: str | None = field(repr=False)
    device: str
    via: Via = "console"

    def actor(self, account_id: str) -> Actor:
        """The account's holder, who acts."""
        return Actor(account_id, frozenset(), self.via)


def _nobody(_: str) -> bool:
    """Every address is welcome."""
    return False


class Door:
    """`origin` says where the console is reached, as mails name it: `https://HOST`."""

    def __init__(self, db: Database, hashing: Hashing, origin: Callable[[], str], *,
                 guard: Guard | None = None, steady_seconds: float = STEADY_SECONDS,
                 unwelcome: Callable[[str], bool] = _nobody) -> None:
        """`unwelcome` tells addresses that no account is made for."""
        self.db = db
        self.unwelcome = unwelcome
        self.hashing = hashing
        self.guard = guard or Guard()
        self._origin = origin
        self._key = derived(db.secret, GUARD_LABEL)
        self._steady_seconds = steady_seconds
        self._salt: tuple[int, bytes] = (-1, b"")

    @property
    def origin(self) -> str:
        """Where the console is reached now."""
        return self._origin().rstrip("/")

    def link(self, path: str, token: str | None = None) -> str:
        """A link of a mail into the console."""
        return self.origin + path + ("" if token is None else f"?token={quote(token, safe='')}")

    def mark(self, who: str) -> bytes:
        """What the guard knows an account by, or a name that nobody has."""
        return hmac.digest(self._key, who.encode("utf-8", "replace"), "sha256")[:16]

    def prefix(self, caller: Caller, now_ms: int) -> bytes:
        """What the guard knows the caller's network by, today."""
        day = now_ms // DAY_MS
        if self._salt[0] != day:
            self._salt = (day, secrets.token_bytes(SALT_BYTES))
        return pseudonym(self._salt[1], caller.address or "") or b""

    def ask(self, who: str, caller: Caller, now_ms: int) -> bool:
        """Counts an attempt; True where it is the one that locks the account.

        Raises `sign_in_slowed` for one that is not heard.
        """
        verdict = self.guard.begin(self.mark(who), self.prefix(caller, now_ms), now_ms)
        if verdict.wait_ms:
            raise RelayError("sign_in_slowed", retry_after_ms=verdict.wait_ms)
        return verdict.locks

    def refusals(self) -> dict[str, float]:
        """How many attempts were refused unheard: by the guard, for want of a place."""
        return {"guard": self.guard.refused, "queue": self.hashing.refused}

    def favours(self, who: str, caller: Caller, now_ms: int) -> bool:
        """Whether they were right from there before, today."""
        return self.guard.favours(self.mark(who), self.prefix(caller, now_ms))

    def unheard(self, who: str, caller: Caller, now_ms: int) -> None:
        """The attempt is not to be counted after all."""
        self.guard.undo(self.mark(who), self.prefix(caller, now_ms))

    def right(self, who: str, caller: Caller, now_ms: int) -> None:
        """The attempt was right."""
        self.guard.right(self.mark(who), self.prefix(caller, now_ms))

    async def steady(self, began: float) -> None:
        """Waits until the answer has taken as long as every other one."""
        await asyncio.sleep(max(0.0, began + self._steady_seconds - monotonic()))


def new_id(prefix: str, now_ms: int) -> str:
    """An id that sorts by time, such as `sess_...`."""
    return prefix + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES))
