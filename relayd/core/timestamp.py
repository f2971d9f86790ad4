"""Times as people and JSON write them: RFC 3339 in UTC, dates, and spans such as `7d`.

Law: inside, a time is an integer of Unix milliseconds; text is made and read here alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from relayd.core.errors import RelayError

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
UNIX_MS_END: Final = 253_402_300_800_000
"""The first millisecond of the year 10000, where RFC 3339 ends."""
_UNIT_MS: Final = {"s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_LEAP: Final = re.compile(r"^(.{11}[0-9]{2}:[0-9]{2}):60")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(unix_ms: int) -> str:
    """For example `2026-01-31T09:30:00.123Z`."""
    moment = _EPOCH + timedelta(milliseconds=unix_ms)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def rfc3339_or_none(unix_ms: int | None) -> str | None:
    """The same of a moment that there may not be."""
    return None if unix_ms is None else rfc3339(unix_ms)


def span_ms(text: str) -> int | None:
    """Milliseconds of `90s`, `30m`, `24h`, `7d` or `2w`; None where the text is no span."""
    match = _SPAN.fullmatch(text)
    return int(match[1]) * _UNIT_MS[match[2]] if match else None


def _parse_moment(text: str, field_name: str) -> int:
    try:
        # no clock here counts leap seconds (RFC 3339 section 5.7), and z is Z (section 5.6)
        moment = datetime.fromisoformat(_LEAP.sub(r"\1:59", text).upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        unix_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise RelayError("invalid_time", param=field_name) from None
    return _checked(unix_ms, field_name)


def _checked(unix_ms: int, field_name: str) -> int:
    if not 0 <= unix_ms < UNIX_MS_END:
        raise RelayError("invalid_time", param=field_name)
    return unix_ms


def parse_past(text: str, now_ms: int, field_name: str) -> int:
    """Unix milliseconds of a date (midnight UTC), a time, or a span before now.

    A time without an offset is UTC. Raises RelayError `invalid_time`.
    """
    span = span_ms(text)
    return _parse_moment(text, field_name) if span is None else max(0, now_ms - span)


def parse_future(text: str, now_ms: int, field_name: str) -> int:
    """The same, with spans after now. A moment that has passed is `invalid_time`."""
    span = span_ms(text)
    unix_ms = _parse_moment(text, field_name) if span is None else now_ms + span
    if unix_ms <= now_ms:
        raise RelayError("invalid_time", param=field_name)
    return _checked(unix_ms, field_name)


def compact(unix_ms: int) -> str:
    """A moment to the second, as it stands in names of files: `20261124T230000Z`."""
    return rfc3339(unix_ms)[:19].replace("-", "").replace(":", "") + "Z"
