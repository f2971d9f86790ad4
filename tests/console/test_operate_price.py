"""The price book: what counts, what comes, and which calls cost nothing."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from relayd.console.operate_price import Book, Unpriced, book
from relayd.core.price import Price, PriceBook, unit_prices
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person
from tests.console.test_model import CONFIG, UNIT

LATER = Price("differs", unit_prices({"input": 99 * UNIT}), since_ms=NOW_MS + 1,
              source="https://example.org/prices")


async def test_what_counts_and_what_comes(console: Console) -> None:
    past = Price("same", unit_prices({"input": 77 * UNIT}), since_ms=0)
    now = Price("same", unit_prices({"input": 88 * UNIT}), since_ms=9)
    console.config = replace(CONFIG, prices=PriceBook([past, now, LATER]))
    found = book(console.config, NOW_MS)
    assert [(entry.model, entry.when, entry.price.units["input"]) for entry in found.entries] == [
        ("same", "now", "88.00"), ("differs", "later", "99.00")]
    assert found.unpriced == [
        Unpriced("one", "differs"), Unpriced("two", "differs"), Unpriced("two", "free")]
    who = await person(console.db, NOW_MS, "finance", two_factors=True)
    text = await (await console.get("/operate/prices", cookies=who.cookies)).text()
    assert "88.00" in text and "99.00" in text and "77.00" not in text
    assert "https://example.org/prices" in text and "free" in text
    answer = await console.get("/api/v1/operate/prices", headers=who.bearer)
    assert msgspec.json.decode(await answer.read(), type=Book) == found


async def test_an_empty_book(console: Console) -> None:
    who = await person(console.db, NOW_MS, "finance", two_factors=True)
    assert 'class="card empty"' in await (
        await console.get("/operate/prices", cookies=who.cookies)).text()
