"""Rollups: call records summed per hour, account, key, model, provider and currency.

Law: a rollup is a projection of the records and nothing else: it can be recomputed at any time
(`relayd ledger verify` does).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import repeat
from operator import add
from typing import Final, NamedTuple

from relayd.core.columns import Column, Columns, places
from relayd.core.timestamp import HOUR_MS

SUM_FIELDS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens", "amount_nano",
)
"""The integers of a call record that add up, in the order of `Sums` after `calls`."""

_NAMES: Final = places("account", "key", "model", "provider", "currency")
_SUMMED: Final = places(*SUM_FIELDS)
(_STARTED,) = places("started_at_ms")


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


def rollups(parts: Iterable[Columns]) -> dict[RollupKey, Sums]:
    """The sums of these records, by key."""
    groups: defaultdict[Column, list[Column]] = defaultdict(list)
    for part in parts:
        names, summed = part.of(_NAMES), part.of(_SUMMED)
        started = part.values[_STARTED]
        hour_ms = hour_of(min(started))
        if hour_ms != hour_of(max(started)):
            hours: Iterable[int] = map(hour_of, started)
        elif part.alike(_NAMES):
            key = hour_ms, *[column[0] for column in names]
            groups[key].append((len(part), *map(sum, summed)))
            continue
        else:
            hours = repeat(hour_ms)
        for key, row in zip(zip(hours, *names), zip(repeat(1), *summed)):
            groups[key].append(row)
    return _summed(groups)


def _summed(groups: Mapping[Column, Iterable[Column]]) -> dict[RollupKey, Sums]:
    found: dict[RollupKey, Sums] = {}
    for (hour_ms, account, key, model, provider, currency), rows in groups.items():
        rollup = RollupKey(hour_ms, account, key, model or "", provider or "", currency)
        sums = Sums(*map(sum, zip(*rows)))
        # None and '' count under one key
        known = found.get(rollup)
        found[rollup] = sums if known is None else Sums(*map(add, known, sums))
    return found
