"""Warnings about what may happen a thousand times a second: said once a minute, with the number.

Law: at most `KINDS_MAX` kinds are told apart, so that nobody can make this grow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

NOTICE_SECONDS: Final = 60.0
KINDS_MAX: Final = 1000


class Warns(Protocol):
    """What is needed of a Logger."""

    def warning(self, event: str, /, **fields: object) -> None:
        """Logs an event."""


class Notices:
    """Says the first of a kind at once, then one a minute with the `count` of all since."""

    def __init__(self, log: Warns, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._kinds: dict[tuple[str, ...], tuple[float, int]] = {}

    def warn(self, event: str, **words: str) -> None:
        """Logs `event` with `words`, which together are its kind, unless it was said just now."""
        kind = (event, *words.values())
        now = self._now()
        said, unsaid = self._kinds.get(kind, (now - NOTICE_SECONDS, 0))
        if now - said < NOTICE_SECONDS:
            self._kinds[kind] = said, unsaid + 1
            return
        if len(self._kinds) >= KINDS_MAX:
            self._kinds.clear()
        self._kinds[kind] = now, 0
        self._log.warning(event, **words, count=unsaid + 1)
