"""Retention for operators: the table in force, with its last sweeps."""

from __future__ import annotations

import pytest

from relayd.core.retention import CATEGORIES, Terms
from relayd.jobs.retention import Retention
from relayd.ops.logging import Logger
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person
from tests.console.test_key import api


@pytest.mark.parametrize(("language", "words"), [
    ("en", ("network records", "184 days")), ("zh", ("网络记录", "184 天"))])
async def test_R1_the_table(console: Console, language: str, words: tuple[str, ...]) -> None:
    who = await person(console.db, NOW_MS, "legal", two_factors=True)
    answer = await console.get(f"/operate/retention?lang={language}", cookies=who.cookies)
    text = await answer.text()
    assert answer.status == 200 and all(word in text for word in words)


async def test_R1_the_last_sweep_for_programs(console: Console) -> None:
    await Retention(console.db, Terms, now_ms=lambda: NOW_MS, log=Logger("error")).look()
    who = await person(console.db, NOW_MS, "owner", two_factors=True)
    status, found = await api(console, who, "GET", "/api/v1/operate/retention")
    assert status == 200
    assert [each["category"] for each in found["categories"]] == [
        each.name for each in CATEGORIES]
    swept = {each["category"]: each["last_sweep"] for each in found["categories"]}
    assert swept["tickets"] == {"at": "2027-01-15T08:00:00.000Z", "rows": 0, "all_rows": 0}


async def test_holders_do_not_see_it(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    assert (await console.get("/operate/retention", cookies=who.cookies)).status == 403
