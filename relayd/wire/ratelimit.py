"""A provider's rate-limit header fields: whether little is left, and for how long.

Read leniently (values with more behind them were seen), for the relay's own steering alone; they
never pass to a client.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

LOW_SHARE: Final = 0.02
"""Of a limit; at or below it other deployments go first."""
LOW_SECONDS: Final = 1.0
"""For so long where the provider does not say until when."""
LOW_SECONDS_MAX: Final = 10.0
"""OpenAI's reset is the time until all of the limit is back, of which a part comes sooner."""

_MARK: Final = b"ratelimit"
_OPENAI: Final = re.compile(
    rb"\r\nx-ratelimit-(limit|remaining|reset)-([a-z-]{1,24}):[ \t]*([0-9a-z.]{1,40})")
_ANTHROPIC: Final = re.compile(
    rb"\r\nanthropic-ratelimit-([a-z-]{1,24})-(limit|remaining|reset):[ \t]*([0-9a-z:.+-]{1,40})")
_PART: Final = re.compile(rb"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_UNITS: Final = {b"ms": 0.001, b"s": 1.0, b"m": 60.0, b"h": 3600.0, b"d": 86400.0}


def low_seconds(head: bytes, unix_ms: int) -> float:
    """For how long little is left of a limit; 0.0 where enough is. `head` is in lower case."""
    if _MARK not in head:
        return 0.0
    limits: dict[bytes, dict[bytes, bytes]] = {}
    for part, name, value in _OPENAI.findall(head):
        limits.setdefault(name, {})[part] = value
    for name, part, value in _ANTHROPIC.findall(head):
        limits.setdefault(name, {})[part] = value
    return max((_low(limit, unix_ms) for limit in limits.values()), default=0.0)


def _low(limit: dict[bytes, bytes], unix_ms: int) -> float:
    whole, left = _number(limit.get(b"limit")), _number(limit.get(b"remaining"))
    if left is None or left > LOW_SHARE * (whole or 0):
        return 0.0
    seconds = _reset(limit.get(b"reset", b""), unix_ms)
    if seconds is None:
        return LOW_SECONDS
    return min(max(seconds, 0.0), LOW_SECONDS_MAX)


def _number(value: bytes | None) -> float | None:
    if value is None or not value.isdigit() or len(value) > 15:
        return None
    return float(value)


def _reset(value: bytes, unix_ms: int) -> float | None:
    """Seconds: a duration such as `6m0s`, plain seconds, or an RFC 3339 time."""
    if _number(value) is not None:
        return float(value)
    parts = _PART.findall(value)
    if parts and b"".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        moment = datetime.fromisoformat(value.decode("ascii").upper())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() - unix_ms / 1000
