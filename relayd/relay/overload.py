"""Overload: whether one more call can be taken without hurting those that are served.

Law: what is refused is refused early, with 503 and a time to wait; what was accepted goes on. A
single late turn of the loop is no overload: the best of the last second's samples decides, as in
CoDel, where a queue that empties now and then is a good queue.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final, Literal

from relayd.core.errors import RelayError
from relayd.ops.config import ServerConfig

START_SAMPLES: Final = 40
"""So many of the first lags decide nothing, ten seconds or more: what waited in a socket that
systemd holds, while no daemon ran, comes all at once, and is not more than can be served."""
SAMPLES: Final = 4
"""The lags that are looked at: those of the last second (relay/inflight.py takes four)."""
RETRY_AFTER_SECONDS: Final = 1

Reason = Literal["lag", "memory", "calls", "bytes"]
REASONS: Final[tuple[Reason, ...]] = ("lag", "memory", "calls", "bytes")


class Overload:
    """Read at every admission, fed by the sweep. `pending_bytes`: request bodies in memory.

    The first `patience` lags are let pass.
    """

    __slots__ = ("pending_bytes", "standing", "refused", "_lags", "_patience")

    def __init__(self, patience: int = 0) -> None:
        self._patience = patience
        self.pending_bytes = 0
        self.standing: Reason | None = None
        """Why no call is taken at all until the next sample; None: calls are taken."""
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._lags: deque[float] = deque(maxlen=SAMPLES)

    def sample(self, server: ServerConfig, lag_seconds: float, resident_bytes: int) -> None:
        """Takes how late the loop was just now, and how much memory the process holds."""
        if self._patience:
            self._patience -= 1
            lag_seconds = 0.0
        self._lags.append(lag_seconds)
        limit = server.lag_seconds_max
        if limit and len(self._lags) == SAMPLES and min(self._lags) > limit:
            self.standing = "lag"
        elif server.memory_bytes_max and resident_bytes > server.memory_bytes_max:
            self.standing = "memory"
        else:
            self.standing = None

    def check(self, server: ServerConfig, calls: int) -> None:
        """Raises `overloaded` where a call cannot be taken; `calls` are under way with it."""
        if self.standing is not None:
            self.refuse(self.standing)
        if calls > server.calls_max:
            self.refuse("calls")
        if self.pending_bytes > server.pending_bytes_max:
            self.refuse("bytes")

    def hold(self, server: ServerConfig, size: int) -> None:
        """Notes body bytes that are kept; raises `overloaded` where they are too many."""
        self.pending_bytes += size
        if self.pending_bytes > server.pending_bytes_max:
            self.refuse("bytes", close=True)

    def refuse(self, reason: Reason, close: bool = False) -> None:
        """Counts a refusal and raises it."""
        self.refused[reason] += 1
        raise RelayError("overloaded", retry_after_seconds=RETRY_AFTER_SECONDS, close=close)


class Share:
    """What one connection keeps of a message that is not whole, as a part of all that is pending:
    of bodies over HTTP each piece is counted as it comes."""

    __slots__ = ("_overload", "_bytes")

    def __init__(self, overload: Overload) -> None:
        self._overload = overload
        self._bytes = 0

    def weigh(self, server: ServerConfig, kept: int) -> None:
        """Notes how much it is now; raises `overloaded` where it is one too many."""
        more, self._bytes = kept - self._bytes, kept
        if more:
            self._overload.pending_bytes += more
        if more > 0 and self._overload.pending_bytes > server.pending_bytes_max:
            self._overload.refuse("bytes")

    def give_back(self) -> None:
        """Nothing is kept any more."""
        self._overload.pending_bytes -= self._bytes
        self._bytes = 0
