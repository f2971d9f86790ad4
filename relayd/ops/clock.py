"""The only clock of the process; everything else is told the time."""

from __future__ import annotations

import time


def unix_ms() -> int:
    """Wall-clock time: milliseconds since 1970 UTC. For records, never for durations."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds that never go back, for durations and deadlines."""
    return time.monotonic()


def monotonic_ns() -> int:
    """Nanoseconds that never go back."""
    return time.monotonic_ns()
