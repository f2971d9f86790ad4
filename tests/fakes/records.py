"""Call records for tests: one plausible call, any field of which a test may change."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from relayd.core.record import CallRecord
from relayd.core.ulid import ulid

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: the start of an hour."""

_numbers = count()


def call_record(**changes: Any) -> CallRecord:
    """A completed call; each has an id of its own."""
    number = next(_numbers)
    record = CallRecord(
        id=ulid(START_MS + number, number.to_bytes(10, "big")), started_at_ms=START_MS + number,
        account="acct_1", key="key_1", app=None, api="openai", endpoint="/v1/chat/completions",
        model="gpt-4o-mini", provider="openai", provider_model="gpt-4o-mini", stream=True,
        status=200, outcome="completed", error=None, attempts=1, input_tokens=100,
        output_tokens=20, cache_read_input_tokens=50, cache_creation_input_tokens=3,
        reasoning_output_tokens=7, audio_input_tokens=2, audio_output_tokens=1,
        counted_input_tokens=99, counted_output_tokens=None, usage_source="reported",
        amount_nano=0, currency="USD", first_byte_ms=12.345, duration_ms=None,
    )
    return msgspec.structs.replace(record, **changes)
