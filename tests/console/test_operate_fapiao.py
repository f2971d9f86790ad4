"""The desk: from the queue to the issued file and the red letter, on pages and for programs."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from relayd.console.services import Services
from relayd.control import audit, fapiao
from relayd.control.fapiao import Offer, Wish
from relayd.control.issuer import ByHand
from relayd.core.actor import SHELL
from relayd.core.fapiao import Fapiao
from relayd.core.issued import wanted
from relayd.ops.config_invoices import InvoicesConfig
from relayd.wire.fapiao import write_xml
from tests.console.conftest import NOW_MS
from tests.console.paying import Shop, shop
from tests.console.people import Person, person
from tests.console.test_invoice import OPERATOR, SELLER
from tests.console.test_operate_order import api, paid, send

__all__ = ["shop"]


@pytest.fixture
async def finance(shop: Shop) -> Person:
    return await person(shop.console.db, NOW_MS, "finance", name="finance", two_factors=True)


@pytest.fixture
async def made(shop: Shop) -> Fapiao:
    shop.console.config = replace(
        shop.console.config, operator=OPERATOR,
        invoices=InvoicesConfig(vat_rate=600, fapiao="manual"))
    order = await paid(shop)
    return await fapiao.apply(shop.console.db, SHELL, shop.who.account, Wish(
        (order,), title="王小明"), Offer(SELLER, 360), NOW_MS)


def xml(made: Fapiao, number: str, blue: Fapiao | None = None) -> bytes:
    return write_xml(wanted(made, SELLER.block(), blue)._replace(
        number=number, issued_on="2026-11-29"))


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pages(shop: Shop, finance: Person, made: Fapiao, language: str) -> None:
    where = f"/operate/fapiao/{made.id}"
    page = await shop.console.get(f"/operate/fapiao?lang={language}", cookies=finance.cookies)
    text = await page.text()
    assert made.id in text and "王小明" not in text
    text = await (await shop.console.get(f"{where}?lang={language}",
                                         cookies=finance.cookies)).text()
    assert "王小明" in text and ("Take it up" if language == "en" else "受理") in text
    assert (await send(shop, finance, where, f"{where}/take")).status == 303
    answer = await send(shop, finance, "/operate/fapiao", "/operate/fapiao/export")
    assert made.id in await answer.text() and "attachment" in answer.headers[
        "Content-Disposition"]
    assert (await send(shop, finance, where, f"{where}/send")).status == 303
    wrong = xml(replace(made, amount_minor=1), "2" * 20).decode()
    answer = await send(shop, finance, where, f"{where}/import", file=wrong)
    assert answer.status == 422
    answer = await send(shop, finance, where, f"{where}/import", file=xml(made, "2" * 20).decode())
    assert answer.status == 303
    answer = await shop.console.get(f"/fapiao/{made.id}/file/xml", cookies=shop.who.cookies)
    assert answer.status == 200 and "王小明" in await answer.text()
    text = await (await shop.console.get(where, cookies=finance.cookies)).text()
    assert "2" * 20 in text and "/reverse" in text
    answer = await send(shop, finance, where, f"{where}/reverse", amount="2.34", reason="03")
    red = answer.headers["Location"]
    text = await (await shop.console.get(f"{red}?lang={language}", cookies=finance.cookies)).text()
    assert ("service ended" if language == "en" else "服务中止") in text
    answer = await send(shop, finance, red, f"{red}/confirm", confirmation="3" * 20)
    assert answer.status == 303
    assert (await send(shop, finance, red, f"{red}/reject")).status == 303
    looks = [entry.event.action async for entry in audit.listing(
        shop.console.db, target=shop.who.account)]
    assert "fapiao.look" in looks and "fapiao.import" in looks


async def test_for_programs(shop: Shop, finance: Person, made: Fapiao) -> None:
    at = f"/api/v1/operate/fapiao/{made.id}"

    async def ask(path: str, body: Any = None, who: Person = finance) -> tuple[int, Any]:
        return await api(shop, who, "POST", path, body or {})

    status, [listed] = await api(shop, finance, "GET", "/api/v1/operate/fapiao?state=submitted")
    assert status == 200 and listed["account"] == shop.who.account
    assert (await api(shop, finance, "GET", at))[1]["buyer"] == {"name": "王小明"}
    assert (await ask(f"{at}/reject", {"reason": "x"}))[0] == 400
    assert (await ask(f"{at}/take"))[1]["state"] == "reviewing"
    assert (await ask(f"{at}/send"))[1]["state"] == "issuing"
    assert (await ask(f"{at}/file", {"file": "!"}))[0] == 422
    content = base64.b64encode(xml(made, "2" * 20)).decode()
    status, found = await ask(f"{at}/file", {"file": content})
    assert (found["state"], found["number"], found["files"]) == ("issued", "2" * 20, ["xml"])
    assert (await ask(f"{at}/red", {"amount": "12.35", "reason": "01"}))[0] == 422
    status, red = await ask(f"{at}/red", {"amount": "12.34", "reason": "01"})
    assert status == 201 and red["amount"] == "-12.34"
    there = f"/api/v1/operate/fapiao/{red['id']}"
    status, found = await ask(f"{there}/confirm", {"confirmation": "3" * 20})
    assert found["state"] == "red_confirming"
    assert (await ask(f"{at}/take", who=shop.who))[0] == 403


def test_by_hand_where_nobody_else_issues() -> None:
    assert Services.__dataclass_fields__["issuer"].default is ByHand
