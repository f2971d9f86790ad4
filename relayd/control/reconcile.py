"""Reconciliation: a provider's figures against the relay's own.

`drift` compares what a provider reported in its answers with what the relay counted; `compare`
what it puts on its bill with what the records say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from relayd.core.bill import Bill, day_text, same_model
from relayd.core.drift import Drift
from relayd.core.timestamp import DAY_MS
from relayd.store import reconcile as store_reconcile
from relayd.store.db import Database
from relayd.store.reconcile import Day
from relayd.store.record import CallFilter

TOLERANCE: Final = 0.01
"""Calls that run across midnight are billed on another day than the relay counts them."""
FIGURES: Final = ("calls", "input_tokens", "output_tokens", "cache_read_input_tokens",
                  "cache_creation_input_tokens")
_NOTHING: Final = dict.fromkeys(FIGURES, 0)


class Comparison(NamedTuple):
    """One model on one day: `billed` and `recorded` by figure; a figure not billed is left out."""

    day_ms: int
    model: str
    billed: Mapping[str, int]
    recorded: Mapping[str, int]

    def differing(self, tolerance: float = TOLERANCE) -> tuple[str, ...]:
        """The figures that lie further apart than `tolerance` of the recorded one."""
        return tuple(
            name for name, billed in self.billed.items()
            if abs(billed - self.recorded[name]) > tolerance * max(self.recorded[name], 1))


async def drift(
    db: Database, wanted: CallFilter, exact: Callable[[str], bool]
) -> list[Drift]:
    """Drift by provider and model; `exact` says whether a model's own tokenizer counts it."""
    async with db.reading() as transaction:
        rows = await store_reconcile.counted(transaction, wanted)
    return [Drift(row.provider, row.model, row.calls, exact(row.model), *row[3:]) for row in rows]


async def compare(
    db: Database, bill: Bill, wanted: CallFilter, providers: Collection[str] = ()
) -> list[Comparison]:
    """A bill against the records of these providers, or of all calls of its API.

    Only the days of the bill are looked at, narrowed further by `wanted`'s period.
    """
    if not bill.lines:
        return []
    first, last = bill.lines[0].day_ms, bill.lines[-1].day_ms + DAY_MS
    since = max(first, wanted.since_ms)
    until = last if wanted.until_ms is None else min(last, wanted.until_ms)
    async with db.reading() as transaction:
        days = await store_reconcile.days(
            transaction, replace(wanted, since_ms=since, until_ms=until), bill.api, providers)
    return _joined(bill, days, since, until)


def _joined(bill: Bill, days: Iterable[Day], since_ms: int, until_ms: int) -> list[Comparison]:
    recorded = {(day.day_ms, day.model): dict(zip(FIGURES, day[2:], strict=True)) for day in days}
    found: dict[tuple[int, str], dict[str, int]] = {}
    says_calls = all(line.calls is not None for line in bill.lines)
    for line in bill.lines:
        if not since_ms - DAY_MS < line.day_ms < until_ms:
            continue
        key = line.day_ms, _name(line.day_ms, line.model, recorded)
        sums = found.setdefault(key, dict.fromkeys(FIGURES, 0))
        for name, value in zip(FIGURES, line[2:], strict=True):
            sums[name] += value or 0
    for key in recorded:
        found.setdefault(key, dict.fromkeys(FIGURES, 0))
    left_out = {name for name, given in (
        ("calls", says_calls),
        ("cache_creation_input_tokens", bill.api != "openai"),  # OpenAI's export does not say it
    ) if not given}
    return [
        Comparison(day_ms, model,
                   {name: value for name, value in sums.items() if name not in left_out},
                   recorded.get((day_ms, model), _NOTHING))
        for (day_ms, model), sums in sorted(found.items())
    ]


def _name(day_ms: int, billed: str, recorded: Collection[tuple[int, str]]) -> str:
    """The model's name in the records of that day, or the bill's own where there is none."""
    if (day_ms, billed) in recorded:
        return billed
    return next((model for day, model in recorded if day == day_ms and same_model(billed, model)),
                billed)


def drift_view(each: Drift) -> dict[str, object]:
    """One row of `relayd usage --drift --json`."""
    return {**each._asdict(), "input_ratio": each.input_ratio, "output_ratio": each.output_ratio,
            "suspicious": each.suspicious}


def comparison_view(each: Comparison, tolerance: float) -> dict[str, object]:
    """One row of `relayd usage --compare FILE --json`."""
    return {"day": day_text(each.day_ms), "model": each.model, "billed": dict(each.billed),
            "recorded": dict(each.recorded), "differs": list(each.differing(tolerance))}
