"""What may go wrong a thousand times a second, or for days: said once a minute, with the number.

Law: at most `KINDS_MAX` kinds are told apart, so that nobody can make this grow.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Literal, Protocol

from relayd.ops.clock import monotonic

NOTICE_SECONDS: Final = 60.0
KINDS_MAX: Final = 1000


class Warns(Protocol):
    """What is needed of a Logger."""

    def warning(self, event: str, /, **fields: object) -> None:
        """Logs an event."""


class Says(Warns, Protocol):
    """What is needed of one for faults."""

    def error(self, event: str, /, **fields: object) -> None:
        """Logs an event, louder."""


class Pace:
    """Which of many that are alike are said: the first of a kind, then one a minute."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def due(self, kind: Hashable, times: int = 1) -> int:
        """How many have come since one was said, with these `times`; 0: it is not said now."""
        now = self._now()
        said, unsaid = self._kinds.get(kind, (now - NOTICE_SECONDS, 0))
        if now - said < NOTICE_SECONDS:
            self._kinds[kind] = said, unsaid + times
            return 0
        if len(self._kinds) >= KINDS_MAX:
            self._kinds.clear()
        self._kinds[kind] = now, 0
        return unsaid + times


class Notices:
    """Says the first of a kind at once, then one a minute with the `count` of all since."""

    def __init__(self, log: Warns, now: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._pace = Pace(now)

    def warn(self, event: str, times: int = 1, /, **words: str) -> None:
        """Logs `event` with `words`, which together are its kind, unless it was said just now."""
        count = self._pace.due((event, *words.values()), times)
        if count:
            self._log.warning(event, **words, count=count)


class Lasting:
    """A fault that may last: said when it begins, once a minute with the `count` since then, and,
    by the event `over`, when it has ended. One that comes and goes is said no more often."""

    def __init__(
        self, log: Says, event: str, over: str | None = None, *,
        level: Literal["error", "warning"] = "error", now: Callable[[], float] = monotonic,
    ) -> None:
        self._log = log
        self._event = event
        self._over = over
        self._level = level
        self._pace = Pace(now)
        self._said = False

    def again(self, **fields: object) -> None:
        """It is so, or still so."""
        count = self._pace.due(None)
        if count:
            self._said = True
            say = self._log.error if self._level == "error" else self._log.warning
            say(self._event, **fields, count=count)

    def ended(self, **fields: object) -> None:
        """It is not so; to be called at every occasion."""
        if self._said:
            self._said = False
            if self._over is not None:
                self._log.warning(self._over, **fields)
