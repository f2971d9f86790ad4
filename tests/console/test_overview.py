"""The overview shows one account's own figures, on the page and as JSON alike."""

from __future__ import annotations

import msgspec

from relayd.console.overview import Outline
from relayd.console.series import Used
from relayd.control import usage
from relayd.core.timestamp import HOUR_MS
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person
from tests.fakes.records import call_record


async def test_nothing_yet_leads_to_the_first_call(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    answer = await console.get("/overview", cookies=holder.cookies)
    text = await answer.text()
    assert answer.status == 200 and 'href="/start"' in text and "<svg" not in text


async def test_figures_are_the_accounts_own(console: Console) -> None:
    holder, other = await person(console.db, NOW_MS), await person(console.db, NOW_MS)
    await usage.post(console.db, [
        call_record(account=holder.account, started_at_ms=NOW_MS - n * HOUR_MS, model=f"model-{n}",
                    amount_nano=10 ** 9, first_byte_ms=100.0 * n,
                    outcome="provider_error" if n == 3 else "completed") for n in range(1, 5)])
    await usage.post(console.db, [call_record(
        account=other.account, started_at_ms=NOW_MS, model="marker", amount_nano=7 * 10 ** 9)])
    answer = await console.get("/overview?span=24h", cookies=holder.cookies)
    text = await answer.text()
    assert "$4.00" in text and "25.0 %" in text and "model-1" in text and "marker" not in text
    answer = await console.get("/api/v1/overview?span=24h", headers=holder.bearer)
    found = msgspec.json.decode(await answer.read(), type=Outline)
    assert found == Outline("24h", [Used("", "USD", 4, 400, 80, 200, 12, 28, 8, 4, "4.00")],
                            4, 1, 0, 200.0, 400.0)


async def test_a_model_has_one_colour_in_all_plots(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    await usage.post(console.db, [
        call_record(account=holder.account, started_at_ms=NOW_MS, model=model, amount_nano=nano)
        for model, nano in (("dear", 10 ** 9), ("cheap", 10 ** 6), ("cheap", 10 ** 6))])
    text = await (await console.get("/overview", cookies=holder.cookies)).text()
    spent, calls = text.split("<svg")[1:3]
    assert spent.index("dear: ") < spent.index("cheap: ")
    assert calls.index("dear: ") < calls.index("cheap: ")


async def test_amounts_of_two_currencies_are_never_added(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    await usage.post(console.db, [
        call_record(account=holder.account, started_at_ms=NOW_MS, currency=currency,
                    amount_nano=3 * 10 ** 9) for currency in ("USD", "CNY")])
    text = await (await console.get("/overview", cookies=holder.cookies)).text()
    assert "$3.00" in text and "¥3.00" in text and "6.00" not in text


async def test_a_span_that_is_none_is_refused(console: Console) -> None:
    holder = await person(console.db, NOW_MS)
    for query in ("span=1y", "span=7d&more=1"):
        answer = await console.get(f"/api/v1/overview?{query}", headers=holder.bearer)
        assert answer.status == 422
