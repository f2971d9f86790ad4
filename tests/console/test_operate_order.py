"""Who minds the money: orders, refunds with a reason, messages that fit nothing, statements."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import pytest
from aiohttp import ClientResponse

from relayd.console import operate_order
from relayd.control import audit, statement, webhook
from relayd.core.actor import SYSTEM
from relayd.core.order import ALARMS
from tests.console.conftest import NOW_MS
from tests.console.paying import Shop, shop
from tests.console.people import Person, person

__all__ = ["shop"]
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')


@pytest.fixture
async def finance(shop: Shop) -> Person:
    return await person(shop.console.db, NOW_MS, "finance", name="finance", two_factors=True)


async def paid(shop: Shop) -> str:
    """An order that is credited."""
    async with shop.console.http.post(
            f"{shop.console.origin}/api/v1/orders", headers=shop.who.bearer,
            json={"partner": "card", "amount": "12.34"}) as answer:
        made = await answer.json()
    assert await shop.deliver(await shop.pay()) == 200
    return str(made["id"])


async def send(shop: Shop, who: Person, where: str, path: str, /, **fields: str
               ) -> ClientResponse:
    page = await shop.console.get(where, cookies=who.cookies)
    token = CSRF.search(await page.text())
    assert token is not None
    return await shop.console.post(path, {"csrf": token[1], **fields}, cookies=who.cookies)


async def api(shop: Shop, who: Person, method: str, path: str, body: Any = None
              ) -> tuple[int, Any]:
    async with shop.console.http.request(
            method, shop.console.origin + path, json=body, headers=who.bearer) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_refund_by_pages(shop: Shop, finance: Person, language: str) -> None:
    made = await paid(shop)
    where = f"/operate/orders/{made}"
    page = await shop.console.get(f"/operate/orders?lang={language}", cookies=finance.cookies)
    assert made in await page.text()
    text = await (await shop.console.get(f"{where}?lang={language}",
                                         cookies=finance.cookies)).text()
    assert ("Refund" if language == "en" else "退款") in text
    for fields, status in (({"amount": "12.35", "reason": "asked"}, 422),
                           ({"amount": "x", "reason": "asked"}, 422),
                           ({"amount": "2.34", "reason": " "}, 400)):
        answer = await send(shop, finance, where, f"{where}/refund", **fields)
        assert answer.status == status
    answer = await send(shop, finance, where, f"{where}/refund", amount="2.34", reason="asked for")
    assert (answer.status, answer.headers["Location"]) == (303, where)
    text = await (await shop.console.get(f"{where}?lang={language}",
                                         cookies=finance.cookies)).text()
    assert "2.34 CNY, " + ("returned" if language == "en" else "已退回") in text
    [told] = [entry async for entry in audit.listing(shop.console.db, target=shop.who.account)
              if entry.event.action == "refund.ask"]
    assert told.reason == "asked for" and told.event.actor == finance.account
    # its holder sees it as well
    seen = await (await shop.console.get(f"/orders/{made}", cookies=shop.who.cookies)).text()
    assert "2.34 CNY" in seen


async def test_for_programs(shop: Shop, finance: Person) -> None:
    made = await paid(shop)
    status, [shown] = await api(shop, finance, "GET", "/api/v1/operate/orders?state=credited")
    assert status == 200 and shown["account"] == shop.who.account and shown["trade"]
    assert (await api(shop, finance, "GET", "/api/v1/operate/orders?state=failed"))[1] == []
    path = f"/api/v1/operate/orders/{made}/refunds"
    status, refund = await api(shop, finance, "POST", path, {"amount": "12.34", "reason": "why"})
    assert (status, refund["state"], refund["amount"]) == (201, "done", "12.34")
    status, said = await api(shop, finance, "POST", path, {"amount": "0.01", "reason": "why"})
    assert (status, said["error"]["code"]) == (409, "order_state")


async def test_older_ones_are_of_the_same_search(
    shop: Shop, finance: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate_order, "PAGE", 1)
    made = await paid(shop)
    asked = f"state=credited&account={shop.who.account}"
    page = await shop.console.get(f"/operate/orders?{asked}", cookies=finance.cookies)
    link = f"/operate/orders?{asked}&before={made}"
    text = await page.text()
    assert f'href="{escape(link)}"' in text
    assert '<option value="credited" selected>' in text and f'value="{shop.who.account}"' in text


async def test_an_account_is_a_link_for_who_may_look_at_accounts(shop: Shop) -> None:
    await paid(shop)
    link = f'href="/operate/accounts/{shop.who.account}"'
    for roles, leads in ((("finance",), False), (("finance", "support"), True)):
        who = await person(shop.console.db, NOW_MS, *roles, two_factors=True)
        page = await shop.console.get("/operate/orders", cookies=who.cookies)
        assert (link in await page.text()) is leads


async def test_messages_that_fit_nothing(shop: Shop, finance: Person) -> None:
    await paid(shop)
    trade = shop.trade()
    trade.told = trade.told._replace(order="ord_nobody")
    assert await shop.deliver(shop.demo.tell(trade, "paid")) == 200
    page = await (await shop.console.get("/operate/orders", cookies=finance.cookies)).text()
    assert "an order that is not known here" in page
    [alarm] = await webhook.alarms(shop.console.db)
    answer = await send(shop, finance, "/operate/orders", "/operate/alarms",
                        partner="card", event=alarm.event)
    assert answer.status == 303 and await webhook.alarms(shop.console.db) == []
    assert not await webhook.see(shop.console.db, SYSTEM, "card", alarm.event, NOW_MS)


async def test_statements_and_disputes(shop: Shop, finance: Person) -> None:
    made = await paid(shop)
    trade = shop.trade()
    shop.demo.dispute(trade)
    await shop.deliver(shop.demo.delivery.messages[-1])
    trade.told = trade.told._replace(amount=1)
    partner = shop.console.listener._services.payments().partner("card")
    found = await statement.check(shop.console.db, partner, "2027-01-15", SYSTEM, NOW_MS)
    assert {each.what for each in found} == {"other_amount"}
    page = await (await shop.console.get("/operate/orders", cookies=finance.cookies)).text()
    assert "Statements that say otherwise" in page and "another amount" in page
    assert f'href="/operate/orders/{made}"' in page and "open" in page


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_alarm_has_words(shop: Shop, finance: Person, language: str) -> None:
    async with shop.console.db.writing() as transaction:
        for outcome in sorted(ALARMS):
            await transaction.run(
                "INSERT INTO partner_events (partner, event, kind, order_id, outcome, at_ms)"
                " VALUES ('card', ?, 'paid', '', ?, 1)", (outcome, outcome))
    page = await shop.console.get(f"/operate/orders?lang={language}", cookies=finance.cookies)
    assert page.status == 200 and (await page.text()).count("<form method=\"post\" action=\""
                                                            "/operate/alarms\"") == len(ALARMS)


async def test_who_may_not(shop: Shop) -> None:
    made = await paid(shop)
    support = await person(shop.console.db, NOW_MS, "support", name="s", two_factors=True)
    for who in (shop.who, support):
        assert (await shop.console.get("/operate/orders", cookies=who.cookies)).status == 403
        status, said = await api(shop, who, "POST", f"/api/v1/operate/orders/{made}/refunds",
                                 {"amount": "1", "reason": "why"})
        assert (status, said["error"]["code"]) == (403, "role_needed")


async def test_the_owner_sees_and_moves_nothing(shop: Shop) -> None:
    made = await paid(shop)
    owner = await person(shop.console.db, NOW_MS, "owner", name="o", two_factors=True)
    assert made in await (await shop.console.get(
        "/operate/orders", cookies=owner.cookies)).text()
    where = f"/operate/orders/{made}"
    page = await shop.console.get(where, cookies=owner.cookies)
    assert page.status == 200 and f'action="{where}/refund"' not in await page.text()
    assert (await api(shop, owner, "GET", "/api/v1/operate/orders"))[0] == 200
    status, said = await api(shop, owner, "POST", f"/api/v1/operate/orders/{made}/refunds",
                             {"amount": "1", "reason": "why"})
    assert (status, said["error"]["code"]) == (403, "role_needed")
