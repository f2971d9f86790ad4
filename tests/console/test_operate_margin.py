"""Revenue, cost and margin: figures that add up to the rollups, on pages, in plots, as JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import margin, usage
from relayd.core.money import parse_nano
from relayd.core.plan import Plan, Tariff
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.timestamp import DAY_MS
from relayd.store.record import CallFilter
from tests.console.asking import api, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.fakes.records import call_record

UNIT = 10 ** 9
BOOK = PriceBook([Price("gpt-*", unit_prices({"call": UNIT}))])
TARIFF = Tariff(BOOK, {"default": Plan("default", 1_500_000, {"free": 1_000})})
API = "/api/v1/operate/margin"


@pytest.fixture
async def finance(console: Console) -> Person:
    console.config = replace(console.config, prices=BOOK)
    for day in range(3):
        await usage.post(console.db, [
            call_record(started_at_ms=NOW_MS - day * DAY_MS, **changes) for changes in (
                {}, {"model": "free", "provider": "other"},
                {"model": "secret", "provider_model": "secret", "provider": "other"})], TARIFF)
    await margin.settle(console.db, BOOK, NOW_MS)
    return await person(console.db, NOW_MS, "finance", name="finance", two_factors=True)


@pytest.mark.parametrize("by", ["model", "provider", "day"])
async def test_they_add_up_to_the_rollups(console: Console, finance: Person, by: str) -> None:
    status, found = await api(console, finance, "GET", f"{API}?by={by}&span=7d")
    total = sum(each.sums.amount_nano for each in await usage.totals(console.db, CallFilter()))
    assert status == 200 and sum(
        parse_nano(line["revenue"]) or 0 for line in found["lines"]) == total
    assert sum(line["calls"] for line in found["lines"]) == 9
    assert sum(line["unpriced"] for line in found["lines"]) == 3


async def test_lines_by_model(console: Console, finance: Person) -> None:
    _, found = await api(console, finance, "GET", API)
    assert [(line["name"], line["revenue"], line["cost"], line["margin"], line["unpriced"])
            for line in found["lines"]] == [
        ("gpt-4o-mini", "4.50", "3.00", "1.50", 0), ("free", "0.003", "3.00", "-2.997", 0),
        ("secret", "0.00", "0.00", "0.00", 3)]


@pytest.mark.parametrize("language, words", [("en", "Margin"), ("zh", "毛利")])
async def test_the_page(console: Console, finance: Person, language: str, words: str) -> None:
    for by in ("model", "provider", "day"):
        shown = await text(
            console, finance, f"/operate/margin?span=7d&by={by}&lang={language}")
        assert words in shown and shown.count("<svg") == (1 if by == "day" else 2)
    assert (await console.get("/operate/margin?span=24h", cookies=finance.cookies)).status == 422


async def test_who_sees_it(console: Console) -> None:
    for role, status in (("owner", 200), ("support", 403)):
        who = await person(console.db, NOW_MS, role, name=role, two_factors=True)
        assert (await api(console, who, "GET", API))[0] == status
        assert (await console.get("/operate/margin", cookies=who.cookies)).status == status
