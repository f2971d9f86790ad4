"""Rollups: call records summed per hour, account, key, model, provider and currency.

Law: a rollup is a projection of the records and nothing else: it can be recomputed at any time
(`relayd ledger verify` does).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS

SUM_FIELDS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens", "amount_nano",
)
"""The integers of a call record that add up, in the order of `Sums` after `calls`."""


class RollupKey(NamedTuple):
    """What is summed together. A record without a model or a provider counts under ''."""

    hour_ms: int
    account: str
    key: str
    model: str
    provider: str
    currency: str


class Sums(NamedTuple):
    """What is summed: every field is a count or an amount >= 0."""

    calls: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    amount_nano: int


def hour_of(unix_ms: int) -> int:
    """The start of the hour that holds this time."""
    return unix_ms - unix_ms % HOUR_MS


def rollups(records: Iterable[CallRecord]) -> dict[RollupKey, Sums]:
    """The sums of these records, by key."""
    found: dict[RollupKey, list[int]] = {}
    for record in records:
        key = RollupKey(hour_of(record.started_at_ms), record.account, record.key,
                        record.model or "", record.provider or "", record.currency)
        sums = found.setdefault(key, [0] * len(Sums._fields))
        sums[0] += 1
        for index, field in enumerate(SUM_FIELDS, 1):
            sums[index] += getattr(record, field)
    return {key: Sums(*sums) for key, sums in found.items()}
