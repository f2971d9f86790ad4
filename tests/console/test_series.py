"""Use by one thing or another: the page, the files and the API say the same."""

from __future__ import annotations

import csv
import io
import json

import pytest

from relayd.console.series import BY, SHOWN
from relayd.control import key, usage
from relayd.core.timestamp import HOUR_MS
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.fakes.records import call_record


async def busy(console: Console) -> Person:
    """A holder with calls of two keys and models, and somebody else with one."""
    holder, other = await person(console.db, NOW_MS), await person(console.db, NOW_MS)
    issued = [await key.create(console.db, holder.account, key.KeyWish(name, app), NOW_MS)
              for name, app in (("<first>", "=shop"), ("second", None))]
    await usage.post(console.db, [
        call_record(account=holder.account, key=issued[n % 2].key.id, amount_nano=10 ** 6 * n,
                    started_at_ms=NOW_MS - n * HOUR_MS, model=f"model-{n % 2}")
        for n in range(30)])
    await usage.post(console.db, [call_record(
        account=other.account, started_at_ms=NOW_MS, model="marker", provider="marker")])
    return holder


@pytest.mark.parametrize("show", SHOWN)
@pytest.mark.parametrize("by", BY)
async def test_every_page_of_it(console: Console, by: str, show: str) -> None:
    holder = await busy(console)
    answer = await console.get(f"/usage?by={by}&show={show}&span=7d", cookies=holder.cookies)
    text = await answer.text()
    assert answer.status == 200 and "<svg" in text and "marker" not in text
    assert "<first>" not in text and ("&lt;first&gt;" in text) == (by == "key")


@pytest.mark.parametrize("by", BY)
async def test_the_files_agree_with_the_api(console: Console, by: str) -> None:
    holder = await busy(console)
    query = f"by={by}&span=7d"
    found = await (await console.get(f"/api/v1/usage?{query}", headers=holder.bearer)).json()
    assert sum(used["calls"] for used in found["sums"]) == 30
    assert sum(used["calls"] for used in found["steps"]) == 30
    answer = await console.get(f"/usage/export?{query}&format=json", cookies=holder.cookies)
    assert json.loads(await answer.read()) == found["steps"]
    answer = await console.get(f"/usage/export?{query}&format=csv", cookies=holder.cookies)
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="usage-{by}-7d.csv"')
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["at"] for row in rows] == [step["at"] for step in found["steps"]]
    assert [row["amount"] for row in rows] == [step["amount"] for step in found["steps"]]
    if by == "app":
        assert {row["name"] for row in rows} == {"", "'=shop"}


async def test_nothing_is_an_empty_page(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    text = await (await console.get("/usage", cookies=holder.cookies)).text()
    assert 'class="card empty"' in text and "<svg" not in text


async def test_a_currency_in_which_nothing_was_spent_has_no_plot(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    await usage.post(console.db, [
        call_record(account=holder.account, amount_nano=nano, currency=currency,
                    started_at_ms=NOW_MS - HOUR_MS)
        for currency, nano in (("CNY", 10 ** 6), ("USD", 0))])
    text = await (await console.get("/usage", cookies=holder.cookies)).text()
    assert "Amount, CNY" in text and "Amount, USD" not in text
    spent = await (await console.get("/overview", cookies=holder.cookies)).text()
    assert "¥0.0010" in spent and "$0.00" not in spent


async def test_where_nothing_was_spent_there_is_one_empty_plot(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    await usage.post(console.db, [
        call_record(account=holder.account, amount_nano=0, currency=currency,
                    started_at_ms=NOW_MS - HOUR_MS) for currency in ("CNY", "USD")])
    text = await (await console.get("/usage", cookies=holder.cookies)).text()
    assert "Amount, CNY" in text and "Amount, USD" not in text and "0.000000001" not in text
