"""The calendar of a process: what the store knows of the past, and what the log says."""

from __future__ import annotations

import io
import json

import pytest

from relayd.control import retention
from relayd.control.calendar import Clockwork, always
from relayd.core.calendar import UNSET_SECONDS
from relayd.ops.logging import Logger
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.records import START_MS

YEAR_MS = 365 * 86_400_000


async def test_a_start_in_another_year_is_not_believed_until_it_lasts(db: Database) -> None:
    await retention.note(db, "tickets", 0, START_MS - 1)
    await retention.note(db, "letters", 0, START_MS)
    seconds, log = [7.0], io.StringIO()
    asked = Clockwork(db, up_seconds=lambda: seconds[0], log=Logger(stream=log)).believed
    assert not await asked(START_MS + YEAR_MS)
    assert not await asked(START_MS + YEAR_MS)
    seconds[0] = UNSET_SECONDS
    assert await asked(START_MS + YEAR_MS + 300_000)
    assert await asked(START_MS + YEAR_MS + 600_000)
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in said] == [
        ("clock_leapt", "warning"), ("clock_believed", "info")]
    assert said[0]["seconds"] == YEAR_MS // 1000


async def test_a_leap_while_it_runs_is_not_believed_for_a_day(db: Database) -> None:
    seconds, log = [9000.0], io.StringIO()
    asked = Clockwork(db, up_seconds=lambda: seconds[0], log=Logger(stream=log)).believed
    assert await asked(START_MS) and not await asked(START_MS + YEAR_MS)
    assert await asked(START_MS) and not await asked(START_MS + YEAR_MS)
    seconds[0] += 86_400
    assert await asked(START_MS + 86_400_000 + YEAR_MS)
    said = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert said == ["clock_leapt", "clock_believed"] * 2


async def test_a_start_in_an_earlier_year_is_told(db: Database) -> None:
    await retention.note(db, "tickets", 0, START_MS)
    log = io.StringIO()
    asked = Clockwork(db, up_seconds=lambda: 7.0, log=Logger(stream=log)).believed
    for now_ms in (START_MS - 3_600_000, START_MS - YEAR_MS, START_MS - YEAR_MS + 1):
        assert await asked(now_ms)  # nothing is deleted too early for it
    said = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["seconds"]) for line in said] == [
        ("clock_behind", "warning", YEAR_MS // 1000)]


async def test_a_new_store_believes_and_a_broken_one_does_not(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await Clockwork(db).believed(START_MS) and await always(START_MS)

    async def broken(db: Database) -> None:
        raise StoreError("store_busy")

    monkeypatch.setattr(retention, "noted", broken)
    assert not await Clockwork(db).believed(START_MS)
