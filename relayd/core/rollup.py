"""Rollups: call records summed per hour, account, key, model, provider and currency.

Law: a rollup is a projection of the records and nothing else: it can be recomputed at any time
(`relayd ledger verify` does).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from operator import add, attrgetter
from typing import Final, NamedTuple

from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS

SUM_FIELDS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens", "amount_nano",
)
"""The integers of a call record that add up, in the order of `Sums` after `calls`."""

_Names = tuple[str, str, str | None, str | None, str]
_started: Final = attrgetter("started_at_ms")
_names: Final = attrgetter("account", "key", "model", "provider", "currency")
_summed: Final = attrgetter(*SUM_FIELDS)


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


def rollups(records: Collection[CallRecord]) -> dict[RollupKey, Sums]:
    """The sums of these records, by key."""
    # few Python instructions per record: this runs beside the calls, once for each of them
    groups: defaultdict[tuple[int, _Names], list[tuple[int, ...]]] = defaultdict(list)
    for started_at_ms, names, values in zip(
        map(_started, records), map(_names, records), map(_summed, records)
    ):
        groups[started_at_ms - started_at_ms % HOUR_MS, names].append(values)
    found: dict[RollupKey, Sums] = {}
    for (hour_ms, (account, key, model, provider, currency)), rows in groups.items():
        rollup = RollupKey(hour_ms, account, key, model or "", provider or "", currency)
        sums = Sums(len(rows), *map(sum, zip(*rows)))
        # None and '' count under one key
        known = found.get(rollup)
        found[rollup] = sums if known is None else Sums(*map(add, known, sums))
    return found
