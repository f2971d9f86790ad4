"""The access log: one line for each call, where the operator asks for it.

Law: its fields are those of `line_of`: no content, no key, no account, no address, and no model,
whose name a client may have made up. The record has the rest, by the line's request_id. Lines are
written as calls are stored, many in one write, so that the relay path does not pay for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from zlib import crc32

from relayd.core.record import CallRecord
from relayd.core.timestamp import rfc3339
from relayd.ops.config import LogConfig
from relayd.ops.logging import CODES, PATHS, Logger

EVENT: Final = "call"
_HASHES: Final = 1 << 32


class AccessLog:
    """Writes what `config` asks for to a logger, at level info."""

    def __init__(self, logger: Logger, config: LogConfig = LogConfig()) -> None:
        self._logger = logger
        self.adopt(config)

    def adopt(self, config: LogConfig) -> None:
        """Takes other settings."""
        self._on = config.access != "off"
        self._whole = config.access == "all"
        self._sample = int(config.access_sample * _HASHES)

    def posted(self, records: Sequence[CallRecord]) -> None:
        """Writes the lines of these records."""
        if not self._on:
            return
        lines = [line_of(record) for record in records if self._wanted(record)]
        if lines:
            self._logger.lines(lines)

    def _wanted(self, record: CallRecord) -> bool:
        """Calls that were not completed always; of the others a share, by their ids' hash."""
        if record.outcome != "completed":
            return True
        return self._whole and crc32(record.id.encode()) < self._sample


def line_of(record: CallRecord) -> dict[str, object]:
    """The line of a call; `time` is when it started."""
    second, rest = divmod(record.started_at_ms, 1000)
    code = record.error
    return {
        "time": f"{_second(second)}.{rest:03d}Z", "level": "info", "event": EVENT,
        "request_id": record.id, "api": record.api,
        "endpoint": record.endpoint if record.endpoint in PATHS else "other",
        "provider": record.provider, "stream": record.stream, "status": record.status,
        "outcome": record.outcome, "code": code if code is None or code in CODES else "other",
        "attempts": record.attempts,
        "input_tokens": record.input_tokens, "output_tokens": record.output_tokens,
        "usage_source": record.usage_source, "first_byte_ms": record.first_byte_ms,
        "duration_ms": record.duration_ms,
    }


@lru_cache(maxsize=64)
def _second(unix_seconds: int) -> str:
    """RFC 3339 up to the second: many calls start in one."""
    return rfc3339(unix_seconds * 1000).partition(".")[0]
