"""One's own fapiao on pages and for programs: applied for, seen, taken back, delivered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import enterprise
from relayd.core.actor import SHELL
from relayd.core.enterprise import Enterprise
from relayd.ops import pdf
from relayd.ops.config_invoices import InvoicesConfig
from tests.console.conftest import NOW_MS
from tests.console.paying import Shop, shop
from tests.console.people import person
from tests.console.test_invoice import OPERATOR
from tests.console.test_operate_order import api, paid, send

__all__ = ["shop"]


@pytest.fixture
async def order(shop: Shop) -> str:
    shop.console.config = replace(
        shop.console.config, operator=OPERATOR,
        invoices=InvoicesConfig(vat_rate=600, fapiao="manual"))
    return await paid(shop)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_pages(shop: Shop, order: str, language: str) -> None:
    cookies = shop.who.cookies
    page = await shop.console.get(f"/fapiao?lang={language}", cookies=cookies)
    text = await page.text()
    assert order in text and "12.34 CNY" in text
    answer = await send(shop, shop.who, "/fapiao", "/fapiao", orders=order)
    assert answer.status == 409  # whose title?
    answer = await send(shop, shop.who, "/fapiao", "/fapiao", orders=order, title="王小明")
    where = answer.headers["Location"]
    text = await (await shop.console.get(f"{where}?lang={language}", cookies=cookies)).text()
    assert "王小明" in text and ("submitted" if language == "en" else "已提交") in text
    loud = "SPECIMEN: THIS IS NO FAPIAO" if language == "en" else "样张：本页不是发票"
    page = await shop.console.get(f"{where}/specimen?lang={language}", cookies=cookies)
    text = await page.text()
    assert loud in text and "壹拾贰圆叁角肆分" in text
    answer = await shop.console.get(f"{where}/specimen/pdf?lang={language}", cookies=cookies)
    content = await answer.read()
    plain = "".join((await pdf.text_of(content)).split())
    assert plain.count("".join(loud.split())) == 2
    assert (await send(shop, shop.who, where, f"{where}/cancel")).status == 303
    assert (await shop.console.get(f"{where}/file/xml", cookies=cookies)).status == 404
    assert (await shop.console.get(f"{where}/file/exe", cookies=cookies)).status == 404


async def test_where_none_are_issued(shop: Shop, order: str) -> None:
    shop.console.config = replace(shop.console.config, invoices=InvoicesConfig())
    status, found = await api(shop, shop.who, "GET", "/api/v1/fapiao")
    assert status == 200 and not found["offered"]
    status, _ = await api(shop, shop.who, "POST", "/api/v1/fapiao",
                          {"orders": [order], "title": "x"})
    assert status == 409


async def test_for_programs(shop: Shop, order: str) -> None:
    status, found = await api(shop, shop.who, "GET", "/api/v1/fapiao")
    assert [each["order"] for each in found["orders"]] == [order]
    await enterprise.mark(shop.console.db, SHELL, shop.who.account, NOW_MS)
    await enterprise.change(shop.console.db, SHELL, shop.who.account, Enterprise(
        "买方公司", "9144030071526726XG"), NOW_MS)
    status, made = await api(shop, shop.who, "POST", "/api/v1/fapiao",
                             {"orders": [order], "kind": "special"})
    assert status == 201 and made["buyer"] == {"name": "买方公司", "uscc": "9144030071526726XG"}
    assert (made["amount"], made["tax"], made["orders"]) == ("12.34", "0.70", {order: "12.34"})
    status, _ = await api(shop, shop.who, "POST", "/api/v1/fapiao", {"orders": [order]})
    assert status == 422
    where = f"/api/v1/fapiao/{made['id']}"
    other = await person(shop.console.db, NOW_MS)
    assert (await api(shop, other, "GET", where))[0] == 404
    assert (await api(shop, other, "POST", f"{where}/cancel"))[0] == 404
    assert (await api(shop, shop.who, "GET", where))[1]["state"] == "submitted"
    assert (await api(shop, shop.who, "POST", f"{where}/cancel"))[1]["state"] == "cancelled"
