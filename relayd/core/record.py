"""The call record: one for every request that passed authentication (CONTRACT section 5)."""

from __future__ import annotations

from typing import Final

import msgspec

from relayd.core.usage import Outcome, UsageSource

MODEL_UNKNOWN: Final = "unknown"
"""Stands for a model name that no route knows: a client could put anything there."""


class CallRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One call, as it is stored. Field order is the contract's; `started_at_ms` is Unix time.

    Encoded it is an array without names, as the journal keeps it: new fields come last and have a
    default, so that the journal of an older version can be read. The last six are not shown to
    people: they are parts that prices need (core/usage.py).
    """

    id: str
    started_at_ms: int
    account: str
    key: str
    app: str | None
    api: str
    endpoint: str
    model: str | None
    provider: str | None
    provider_model: str | None
    stream: bool
    status: int
    outcome: Outcome
    error: str | None
    attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    counted_input_tokens: int | None
    counted_output_tokens: int | None
    usage_source: UsageSource
    amount_nano: int
    currency: str
    first_byte_ms: float | None
    duration_ms: float | None
    cache_creation_1h_input_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    images: int = 0
    audio_seconds: int = 0
    searches: int = 0


PRICED_ONLY: Final = CallRecord.__struct_fields__[-6:]
"""Fields that only prices need."""
