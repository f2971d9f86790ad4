"""Who minds the money: a month closed, an invoice opened and taken back, each in the log."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

import pytest

from relayd.console import operate_invoice
from relayd.control import audit
from relayd.core.invoice import month_text
from relayd.ops.config_invoices import InvoicesConfig
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_invoice import LAST, OPERATOR, invoiced
from tests.console.test_operate_order import CSRF

MONTH = month_text(LAST.start_ms)


@pytest.fixture
async def finance(console: Console) -> Person:
    return await person(console.db, NOW_MS, "finance", name="finance", two_factors=True)


async def send(console: Console, who: Person, where: str, path: str, /, **fields: str) -> Any:
    page = await console.get(where, cookies=who.cookies)
    token = CSRF.search(await page.text())
    assert token is not None
    return await console.post(path, {"csrf": token[1], **fields}, cookies=who.cookies)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pages(console: Console, finance: Person, language: str) -> None:
    holder = await person(console.db, NOW_MS)
    made = await invoiced(console, holder)
    page = await console.get(f"/operate/invoices?lang={language}", cookies=finance.cookies)
    assert made.number in await page.text()
    where = f"/operate/invoices/{made.id}"
    text = await (await console.get(f"{where}?lang={language}", cookies=finance.cookies)).text()
    assert ("Take it back" if language == "en" else "冲销") in text
    answer = await send(console, finance, where, f"{where}/void", reason="another buyer")
    assert answer.status == 303
    text = await (await console.get(answer.headers["Location"], cookies=finance.cookies)).text()
    assert "-1.23 USD" in text and "/void" not in text
    assert (await send(console, finance, where, f"{where}/void", reason="x")).status == 409
    actions = [entry.event.action async for entry in audit.listing(
        console.db, target=holder.account)]
    assert actions.count("invoice.void") == 1 and "invoice.look" in actions
    content = await (await console.get(f"{where}/pdf", cookies=finance.cookies)).read()
    assert content.startswith(b"%PDF-")


async def test_older_ones_are_of_the_same_search(
    console: Console, finance: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate_invoice, "PAGE", 1)
    holder = await person(console.db, NOW_MS)
    made = await invoiced(console, holder)
    asked = f"account={holder.account}&month={MONTH}"
    page = await console.get(f"/operate/invoices?{asked}&kind=", cookies=finance.cookies)
    link = f"/operate/invoices?{asked}&before={made.id}"
    assert f'href="{escape(link)}"' in await page.text()
    assert made.number not in await (await console.get(link, cookies=finance.cookies)).text()


async def test_a_month_is_closed(console: Console, finance: Person) -> None:
    answer = await send(console, finance, "/operate/invoices", "/operate/months", month=MONTH)
    assert answer.status == 400  # nobody sells
    console.config = replace(console.config, operator=OPERATOR,
                             invoices=InvoicesConfig(vat_rate=600))
    answer = await send(console, finance, "/operate/invoices", "/operate/months", month=MONTH)
    assert answer.headers["Location"] == f"/operate/invoices?month={MONTH}"
    answer = await send(console, finance, "/operate/invoices", "/operate/months",
                        month=month_text(NOW_MS))
    assert answer.status == 409


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_closed_months_are_listed(
    console: Console, finance: Person, language: str
) -> None:
    where = f"/operate/invoices?lang={language}"
    text = await (await console.get(where, cookies=finance.cookies)).text()
    assert "close_hours" in text and "<caption" not in text
    console.config = replace(console.config, invoices=InvoicesConfig(close_hours=36))
    await invoiced(console, await person(console.db, NOW_MS))
    text = await (await console.get(where, cookies=finance.cookies)).text()
    assert " 36 " in text and f'?month={MONTH}"' in text


async def test_for_programs(console: Console, finance: Person) -> None:
    console.config = replace(console.config, operator=OPERATOR)
    holder = await person(console.db, NOW_MS)
    made = await invoiced(console, holder)

    async def ask(method: str, path: str, body: Any = None, who: Person = finance) -> Any:
        async with console.http.request(
                method, console.origin + "/api/v1/operate" + path, json=body,
                headers=who.bearer) as answer:
            return answer.status, await answer.json()

    status, [listed] = await ask("GET", f"/invoices?account={holder.account}&month={MONTH}")
    assert status == 200 and listed["id"] == made.id
    assert (await ask("GET", f"/invoices/{made.id}"))[1]["exact"] == "1.234567891"
    assert await ask("POST", "/months", {"month": MONTH}) == (
        200, {"month": MONTH, "accounts": 1, "invoices": 0, "receipts": 0})
    [month] = (await ask("GET", "/months"))[1]
    assert (month["month"], month["invoices"], month["receipts"]) == (MONTH, 1, 0)
    assert month["closed_at"]
    status, counter = await ask("POST", f"/invoices/{made.id}/void", {"reason": "wrong"})
    assert status == 201 and counter["reverses"] == made.id
    assert (await ask("GET", "/invoices", who=holder))[0] == 403
