"""The only clock of the process; everything else is told the time."""

from __future__ import annotations

from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime, time_ns
from time import monotonic as _monotonic
from time import monotonic_ns as _monotonic_ns
from typing import Final


def unix_ms() -> int:
    """Wall-clock time: milliseconds since 1970 UTC. For records, never for durations."""
    return time_ns() // 1_000_000


def up_seconds() -> float:
    """How long ago the machine started, suspension included (clock_gettime(2))."""
    return clock_gettime(CLOCK_BOOTTIME)


monotonic: Final[Callable[[], float]] = _monotonic
"""Seconds that never go back, for durations and deadlines. The function itself: a call of the
relay asks seven times."""

monotonic_ns: Final[Callable[[], int]] = _monotonic_ns
"""Nanoseconds that never go back."""
