"""Holds three lists of calls against each other: the client's, the provider's and the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from relayd.control import usage
from relayd.core.record import CallRecord
from relayd.store.db import open_database
from relayd.store.record import CallFilter
from tests.long.load import MODEL, SLOTS, Call
from tests.long.provider import INPUT_BASE, words


@dataclass(slots=True)
class Tally:
    """What came of a number of calls.

    `lost`: the provider or the client knows of it and the ledger does not. `doubled`: it has two
    records, or went to the provider more often than its record says. `wrong`: its record is not
    what happened. `early`: its client had all of the answer, and the daemon died before it noted
    so: recorded as interrupted. `unsent`: recorded, and never came to the provider.
    """

    calls: int = 0
    whole: int = 0
    seen: int = 0
    records: int = 0
    completed: int = 0
    interrupted: int = 0
    refused: int = 0
    unsent: int = 0
    early: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def __iadd__(self, other: Tally) -> Tally:
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, mine + others)
        return self

    def __str__(self) -> str:
        parts = [f"{each.name} {getattr(self, each.name)}" for each in fields(self)
                 if each.name not in ("failures", "examples")]
        failures = ", ".join(f"{name} {count}" for name, count in sorted(self.failures.items()))
        return ", ".join(parts) + (f"; clients saw: {failures}" if failures else "")

    def check(self) -> None:
        """Fails where a call is not in the ledger as it was."""
        bad = (self.lost, self.doubled, self.wrong)
        assert bad == (0, 0, 0), f"{self}\n" + "\n".join(self.examples[:20])


async def records_since(store: Path, since_ms: int) -> list[CallRecord]:
    """The call records of a store that started then or later."""
    db = await open_database(store)
    try:
        return [record async for record in usage.calls(db, CallFilter(since_ms=since_ms))]
    finally:
        await db.close()


def compare(calls: list[Call], seen: Iterable[int], records: list[CallRecord]) -> Tally:
    """Holds the lists of one round against each other; a round has fewer calls than slots."""
    assert len(calls) <= SLOTS, "more calls than can be told apart"
    tally = Tally(calls=len(calls), records=len(records))
    sent = Counter(seen)
    tally.seen = sent.total()
    by_slot: dict[int, list[CallRecord]] = defaultdict(list)
    for record in records:
        assert record.model is not None
        by_slot[int(record.model.removeprefix(MODEL))].append(record)
    for call in calls:
        tally.whole += call.whole
        if call.failure or call.status not in (0, 200):
            tally.failures[call.failure or str(call.status)] += 1
        found = by_slot.pop(call.number % SLOTS, [])
        _hold(tally, call, sent[call.number], found)
    _note(tally, "wrong", len(by_slot), f"records of no call: {list(by_slot.values())[:3]}")
    return tally


def _hold(tally: Tally, call: Call, times: int, found: list[CallRecord]) -> None:
    """One call against its records."""
    if not found:
        # 503 with no record: refused before its key was looked at
        known = bool(times or call.id and call.status != 503)
        _note(tally, "lost", known, f"no record: {call}")
        return
    record = found[0]
    _note(tally, "doubled", len(found) > 1, f"{len(found)} records: {call}")
    _note(tally, "doubled", times > max(record.attempts, 1), f"sent {times} times: {record}")
    tally.completed += record.outcome == "completed"
    tally.interrupted += record.outcome == "interrupted"
    tally.refused += record.outcome == "refused"
    tally.unsent += not times
    _note(tally, "wrong", times > 0 and record.outcome == "refused", f"refused, but sent: {call}")
    if call.id:
        _note(tally, "wrong", record.id != call.id, f"another id: {record} {call}")
    if record.outcome == "completed":
        right = (INPUT_BASE + call.number, words(call.number))
        fits = times == 1 and (record.input_tokens, record.output_tokens) == right
        _note(tally, "wrong", not fits, f"completed, but {times} sent: {record} {call}")
    elif call.whole and record.outcome == "interrupted" and record.error == "daemon_died":
        tally.early += 1
    else:
        _note(tally, "wrong", call.whole, f"it was whole: {record} {call}")


def _note(tally: Tally, name: str, count: int, example: str) -> None:
    if count:
        setattr(tally, name, getattr(tally, name) + int(count))
        tally.examples.append(f"{name}: {example}")
