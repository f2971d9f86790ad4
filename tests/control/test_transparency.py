"""Figures for everybody: ten accounts or none, and nobody who objected."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from relayd.control import account, consent, transparency, usage
from relayd.core.consent import Served
from relayd.core.timestamp import DAY_MS
from relayd.store import transparency as store_transparency
from relayd.store.db import Database
from tests.fakes.editions import publish
from tests.fakes.erased import erase
from tests.fakes.records import START_MS, call_record

NOW_MS = START_MS + 2 * DAY_MS
SERVED = Served("privacy", 1, "ab" * 32, "en", "console")


async def accounts(db: Database, number: int, model: str) -> list[str]:
    found = []
    for each in range(number):
        made = await account.create(db, f"{model}{each}@example.org", None, START_MS)
        await usage.post(db, [call_record(account=made.id, model=model, input_tokens=7,
                                          output_tokens=3)])
        found.append(made.id)
    return found


async def test_U4_a_cell_with_nine_accounts_is_suppressed(db: Database) -> None:
    await accounts(db, 10, "ten")
    await accounts(db, 9, "nine")
    report = await transparency.report(db, NOW_MS)
    assert list(report.use.cells) == ["ten"] and report.use.suppressed == 1
    assert (report.use.calls, report.use.tokens) == (10, 100)
    shown = transparency.view(report)
    assert "nine" not in str(shown)


async def test_U4_who_opted_out_changes_no_aggregate(db: Database) -> None:
    [objector, *_] = await accounts(db, 11, "eleven")
    async with db.writing() as transaction:
        await consent.record(transaction, objector, "improve", SERVED, START_MS, "withdrawn")
    await usage.post(db, [call_record(account=objector, model="eleven") for _ in range(50)])
    report = await transparency.report(db, NOW_MS)
    assert report.use.cells["eleven"] == (10, 10, 100)
    # one that takes part again counts again
    async with db.writing() as transaction:
        await consent.record(transaction, objector, "improve", SERVED, START_MS + 1)
    report = await transparency.report(db, NOW_MS)
    assert report.use.cells["eleven"].accounts == 11


async def test_figures_are_of_whole_days_and_of_thirty(db: Database) -> None:
    await accounts(db, 10, "old")
    assert not (await transparency.report(db, START_MS + 31 * DAY_MS)).use.cells
    assert not (await transparency.report(db, START_MS + DAY_MS - 1)).use.cells
    assert (await transparency.report(db, START_MS + 30 * DAY_MS)).use.cells


async def test_figures_are_read_once_for_all_who_ask(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await accounts(db, 11, "eleven")
    read, times = store_transparency.use_by_model, 0

    async def counted(*given: Any) -> Any:
        nonlocal times
        times += 1
        return await read(*given)

    monkeypatch.setattr(store_transparency, "use_by_model", counted)
    figures = transparency.Figures()
    reports = await asyncio.gather(*(
        transparency.report(db, NOW_MS, figures) for _ in range(50)))
    assert times == 1 and {each.use.calls for each in reports} == {11}
    # whoever objects is in none from then on
    async with db.writing() as transaction:
        await consent.record(transaction, found[0], "improve", SERVED, START_MS, "withdrawn")
    assert (await transparency.report(db, NOW_MS, figures)).use.calls == 10
    await usage.post(db, [call_record(account=found[1], model="eleven")])
    later = NOW_MS + transparency.FRESH_MS
    assert (await transparency.report(db, later - 1, figures)).use.calls == 10
    assert (await transparency.report(db, later, figures)).use.calls == 11
    assert times == 3


async def test_erasures_are_counted_by_cause(db: Database) -> None:
    [one, *_] = await accounts(db, 2, "two")
    await erase(db, one, START_MS)
    assert (await transparency.report(db, NOW_MS)).erasures == {"operator": 1}


async def test_G2_figures_that_were_asked_for_anew_are_of_who_agreed(db: Database) -> None:
    found = await accounts(db, 11, "eleven")
    await publish(db, version=2, gate="console", items=("improve",), effective_at_ms=NOW_MS)
    assert (await transparency.report(db, NOW_MS - 1)).use.cells["eleven"].accounts == 11
    assert (await transparency.report(db, NOW_MS)).use.cells == {}
    async with db.writing() as transaction:
        for each in found[:10]:
            await consent.record(
                transaction, each, "improve", replace(SERVED, version=2), NOW_MS)
    assert (await transparency.report(db, NOW_MS)).use.cells["eleven"].accounts == 10
