"""Event-loop lag: how much later than asked the loop runs what is due.

Law: a sampler that costs two wake-ups a second; reading it changes nothing, so that several
scrapers see the same.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from relayd.ops.beat import Beat
from relayd.ops.clock import monotonic

INTERVAL_SECONDS: Final = 0.5
WINDOW_SAMPLES: Final = 60
"""The last 30 seconds: longer than a usual scrape interval, so that no peak goes unseen."""


class LoopLag:
    """Spawned by the app (`run`); `worst_seconds` is read at scrape."""

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._beat = Beat(interval_seconds)
        self._samples: deque[float] = deque(maxlen=WINDOW_SAMPLES)

    async def run(self) -> None:
        """Samples until cancelled."""
        while await self._beat.wait():
            self._samples.append(max(0.0, monotonic() - self._beat.due))

    def worst_seconds(self) -> float:
        """The largest lag of the window; 0 before the first sample."""
        return max(self._samples, default=0.0)
