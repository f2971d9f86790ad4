"""Spending caps on a page and for programs: they make the operator's budget smaller alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import limit
from relayd.ops.config import LimitsConfig
from tests.console.asking import api, send, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person

PATH = "/balance/caps"


@pytest.mark.parametrize("language, words", [("en", "At most a day"), ("zh", "每日最多")])
async def test_caps_by_pages(console: Console, language: str, words: str) -> None:
    who = await person(console.db, NOW_MS)
    assert words in await text(console, who, f"{PATH}?lang={language}")
    answer = await send(console, who, PATH, PATH, daily_cap="5", monthly_cap=" 90.50 ")
    assert (answer.status, answer.headers["Location"]) == (303, PATH)
    shown = await text(console, who, PATH)
    assert 'value="5.00"' in shown and 'value="90.50"' in shown
    for wrong in ("x", "-1", "1e3"):
        answer = await send(console, who, PATH, PATH, daily_cap=wrong)
        assert answer.status == 400
    await send(console, who, PATH, PATH, daily_cap="", monthly_cap="1")
    assert await limit.show(console.db, "account", who.account) == (
        who.account, {"monthly_cap": 10 ** 9})


async def test_the_operator_s_budget_is_never_raised(console: Console) -> None:
    console.config = replace(console.config, limits=LimitsConfig(
        daily_budget=3 * 10 ** 9))
    who = await person(console.db, NOW_MS)
    await limit.change(console.db, "account", who.account, {"monthly_budget": "50"}, NOW_MS)
    status, shown = await api(console, who, "PUT", f"/api/v1{PATH}", {
        "daily_cap": "100", "monthly_cap": "20"})
    assert (status, shown) == (200, {
        "daily_cap": "100.00", "monthly_cap": "20.00", "daily_budget": "3.00",
        "monthly_budget": "20.00"})
    # what the operator set is still there when the cap goes
    status, shown = await api(console, who, "PUT", f"/api/v1{PATH}", {})
    assert (shown["monthly_cap"], shown["monthly_budget"]) == (None, "50.00")
    assert await api(console, who, "GET", f"/api/v1{PATH}") == (200, shown)
