"""What the call records say of each provider's figures, as rows: for `relayd usage`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from relayd.core.timestamp import DAY_MS
from relayd.store.record import CallFilter
from relayd.store.transaction import Transaction

_VISIBLE: Final = "(output_tokens - MIN(reasoning_output_tokens, output_tokens))"
# core/drift.py comparable_output, as SQL
_COMPARABLE: Final = (
    "CASE WHEN ABS(counted_output_tokens - output_tokens)"
    f" < ABS(counted_output_tokens - {_VISIBLE}) THEN output_tokens ELSE {_VISIBLE} END")
_DRIFT: Final = (
    "SELECT provider, provider_model, COUNT(*), SUM(input_tokens), SUM(counted_input_tokens),"
    f" SUM({_COMPARABLE}), SUM(counted_output_tokens) FROM call_records WHERE {{condition}}"
    " AND usage_source = 'reported' AND outcome = 'completed' AND provider IS NOT NULL"
    " AND provider_model IS NOT NULL AND counted_input_tokens IS NOT NULL"
    " AND counted_output_tokens IS NOT NULL AND audio_input_tokens = 0 AND audio_output_tokens = 0"
    " GROUP BY provider, provider_model ORDER BY provider, provider_model")
_DAYS: Final = (
    f"SELECT started_at_ms - started_at_ms % {DAY_MS}, provider_model, COUNT(*),"
    " SUM(input_tokens), SUM(output_tokens), SUM(cache_read_input_tokens),"
    " SUM(cache_creation_input_tokens) FROM call_records WHERE {condition} AND attempts > 0"
    " AND provider_model IS NOT NULL AND {providers} GROUP BY 1, 2 ORDER BY 1, 2")


class Counted(NamedTuple):
    """Sums of one provider's model over calls with both a report and an own count."""

    provider: str
    model: str
    calls: int
    reported_input: int
    counted_input: int
    reported_output: int
    counted_output: int


class Day(NamedTuple):
    """What the records say of one model on one day (UTC)."""

    day_ms: int
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int


async def counted(transaction: Transaction, wanted: CallFilter) -> list[Counted]:
    """Reported and own counts by provider and model; reads the records of the period."""
    condition, values = wanted.conditions()
    rows = await transaction.rows(_DRIFT.format(condition=condition), values)
    return [Counted(*row) for row in rows]


async def days(
    transaction: Transaction, wanted: CallFilter, api: str, providers: Collection[str]
) -> list[Day]:
    """What was used by day and model, of these providers, or of all calls of one API."""
    condition, values = wanted.conditions()
    names = list(providers)
    where = f"provider IN ({', '.join('?' * len(names))})" if names else "api = ?"
    rows = await transaction.rows(
        _DAYS.format(condition=condition, providers=where), [*values, *(names or [api])])
    return [Day(*row) for row in rows]
