"""The garbage collector: how often it ran, and how long it kept the process from its work.

Law: two looks at the clock for each run, of which there are few (ops/process.py).
"""

from __future__ import annotations

import gc
from typing import Any

from relayd.ops.clock import monotonic


class GcWatch:
    """Between `start()` and `stop()` it is told of every run, on whatever thread."""

    def __init__(self) -> None:
        self._began = 0.0
        self._runs = {"0": 0, "1": 0, "2": 0}
        self._seconds = 0.0
        self._worst = 0.0

    def start(self) -> None:
        """Begins to watch."""
        gc.callbacks.append(self._told)

    def stop(self) -> None:
        """Watches no more; harmless where it did not."""
        if self._told in gc.callbacks:
            gc.callbacks.remove(self._told)

    def _told(self, phase: str, info: dict[str, Any]) -> None:
        now = monotonic()
        if phase == "start":
            self._began = now
        else:
            seconds = now - self._began
            self._runs[str(info["generation"])] += 1
            self._seconds += seconds
            self._worst = max(self._worst, seconds)

    def runs(self) -> dict[str, int]:
        """How many, by generation."""
        return dict(self._runs)

    def seconds(self) -> float:
        """How long they took together."""
        return self._seconds

    def worst_seconds(self) -> float:
        """How long the longest one took."""
        return self._worst
