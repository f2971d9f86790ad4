"""One's own invoices: pages in both languages, to print, as PDF, for programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import closing, invoice, usage
from relayd.control.invoice import Seller
from relayd.core.actor import SHELL
from relayd.core.invoice import Invoice, month, month_text
from relayd.core.operator import Operator
from relayd.core.vat import Vat
from relayd.ops import pdf
from relayd.ops.config_invoices import InvoicesConfig
from relayd.store.invoice import InvoiceFilter
from tests.console.conftest import NOW_MS, Console
from tests.console.paying import Shop, shop
from tests.console.people import Person, person
from tests.console.test_order import api, send
from tests.fakes.records import call_record

__all__ = ["shop"]
LAST = month(month_text(month(month_text(NOW_MS)).start_ms - 1))
OPERATOR = Operator(name="Example Ltd", name_zh="示例有限公司", address="1 Road",
                    contact="a@example.org", court="x", uscc="91330100799655058B")
SELLER = Seller(OPERATOR, Vat(600))


async def invoiced(console: Console, who: Person) -> Invoice:
    await usage.post(console.db, [call_record(
        account=who.account, model=model, started_at_ms=LAST.start_ms + 5, amount_nano=nano)
        for model, nano in (("gpt-4o-mini", 1_234_567_890), (None, 1))])
    await closing.close(console.db, SHELL, SELLER, month_text(LAST.start_ms), console.now_ms)
    [made] = await invoice.listing(console.db, InvoiceFilter(who.account, "use"))
    return made


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pages(console: Console, language: str) -> None:
    who = await person(console.db, NOW_MS)
    made = await invoiced(console, who)
    text = await (await console.get(f"/invoices?lang={language}", cookies=who.cookies)).text()
    assert made.number in text and ("Statements" if language == "en" else "对账单") in text
    answer = await console.get(f"/invoices/{made.id}?lang={language}", cookies=who.cookies)
    text = await answer.text()
    assert answer.status == 200 and "gpt-4o-mini" in text and "1.234567891" in text
    assert ("VAT 6%" if language == "en" else "增值税 6%") in text and "1.23 USD" in text
    assert ("Example Ltd" if language == "en" else "示例有限公司") in text
    text = await (await console.get(
        f"/statement?month={month_text(LAST.start_ms)}", cookies=who.cookies)).text()
    assert "1.23456789" in text
    assert (await console.get("/statement?month=x", cookies=who.cookies)).status == 400


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pdf_and_the_page_where_there_is_none(
    console: Console, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await person(console.db, NOW_MS)
    made = await invoiced(console, who)
    where = f"/invoices/{made.id}"
    answer = await console.get(f"{where}/pdf?lang={language}", cookies=who.cookies)
    content = await answer.read()
    assert answer.status == 200 and content.startswith(b"%PDF-")
    assert made.number in answer.headers["Content-Disposition"]
    text = "".join((await pdf.text_of(content)).split())
    assert made.number in text and "gpt-4o-mini" in text
    assert ("ExampleLtd" if language == "en" else "示例有限公司") in text
    monkeypatch.setattr(pdf, "has", lambda package: False)
    assert (await console.get(f"{where}/pdf", cookies=who.cookies)).status == 501
    text = await (await console.get(where, cookies=who.cookies)).text()
    assert f"{where}/pdf" not in text and made.number in text


async def test_they_are_one_account_s(console: Console) -> None:
    who, other = await person(console.db, NOW_MS), await person(console.db, NOW_MS)
    made = await invoiced(console, who)
    for path in (f"/invoices/{made.id}", f"/invoices/{made.id}/pdf"):
        assert (await console.get(path, cookies=other.cookies)).status == 404
    async with console.http.get(f"{console.origin}/api/v1/invoices/{made.number}",
                                headers=other.bearer) as answer:
        assert answer.status == 404


async def test_for_programs(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    made = await invoiced(console, who)
    async with console.http.get(f"{console.origin}/api/v1/invoices", headers=who.bearer) as answer:
        [found] = await answer.json()
    assert (found["number"], found["total"], found["net"], found["tax"]) == (
        made.number, "1.23", "1.16", "0.07")
    async with console.http.get(f"{console.origin}/api/v1/invoices/{made.id}",
                                headers=who.bearer) as answer:
        found = await answer.json()
    assert found["exact"] == "1.234567891" and len(found["lines"]) == 2
    async with console.http.get(
            f"{console.origin}/api/v1/statement?month={found['month']}",
            headers=who.bearer) as answer:
        [statement] = await answer.json()
    assert statement["total"] == "1.234567891"


async def test_a_receipt(shop: Shop) -> None:
    shop.console.config = replace(shop.console.config, operator=OPERATOR,
                                  invoices=InvoicesConfig(vat_rate=600))
    answer = await send(shop, "/balance", partner="card", amount="12.34")
    where = answer.headers["Location"]
    assert (await send(shop, f"{where}/receipt")).status == 409
    await shop.deliver(await shop.pay())
    whole = shop.console.config
    shop.console.config = replace(whole, operator=replace(OPERATOR, address=""))
    assert (await api(shop, "POST", f"/api/v1{where}/receipt"))[0] == 400
    shop.console.config = whole
    there = (await send(shop, f"{where}/receipt")).headers["Location"]
    text = await (await shop.console.get(there, cookies=shop.who.cookies)).text()
    assert "REC-" in text and "12.34 CNY" in text and "VAT" not in text
    status, made = await api(shop, "POST", f"/api/v1{where}/receipt")
    assert status == 201 and there.endswith(made["id"])
    other = await person(shop.console.db, NOW_MS)
    status, _ = await api(shop, "POST", f"/api/v1{where}/receipt", who=other)
    assert status == 404
