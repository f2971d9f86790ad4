"""Alerts are set, shown and taken away."""

from __future__ import annotations

import pytest

from tests.console.asking import api, send, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person

PATH = "/balance/alerts"


@pytest.mark.parametrize("language, words", [("en", "less than 5.00 USD"), ("zh", "低于 5.00 USD")])
async def test_an_alert_by_pages(console: Console, language: str, words: str) -> None:
    who = await person(console.db, NOW_MS)
    await text(console, who, f"{PATH}?lang={language}")
    answer = await send(console, who, PATH, PATH, below="5", currency="USD")
    assert (answer.status, answer.headers["Location"]) == (303, PATH)
    assert words in await text(console, who, f"{PATH}?lang={language}")
    for below, currency in (("-1", "USD"), ("x", "USD"), ("5", "usd"), ("", "USD")):
        answer = await send(console, who, PATH, PATH, below=below, currency=currency)
        assert answer.status == 400
    await send(console, who, PATH, PATH, below="0", currency="USD")
    assert words not in await text(console, who, PATH)


async def test_for_programs(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    wish = {"currency": "CNY", "below": "2.50"}
    assert await api(console, who, "PUT", f"/api/v1{PATH}", wish) == (200, [wish])
    assert await api(console, who, "GET", f"/api/v1{PATH}") == (200, [wish])
    other = await person(console.db, NOW_MS, name="other")
    assert await api(console, other, "GET", f"/api/v1{PATH}") == (200, [])
    status, said = await api(console, who, "PUT", f"/api/v1{PATH}", {**wish, "below": "1e3"})
    assert (status, said["error"]["code"]) == (400, "invalid_value")
