"""Topping up on pages and for programs: paid at the partner, believed when the partner says so."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse

from relayd.console import gate
from tests.console.conftest import NOW_MS, Console
from tests.console.paying import Shop, shop
from tests.console.people import Person, person

__all__ = ["shop"]
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')
CARD = "4242 4242 4242 4242"


async def send(shop: Shop, path: str, /, **fields: str) -> ClientResponse:
    page = await shop.console.get("/balance", cookies=shop.who.cookies)
    token = CSRF.search(await page.text())
    assert token is not None
    return await shop.console.post(path, {"csrf": token[1], **fields}, cookies=shop.who.cookies)


async def api(shop: Shop, method: str, path: str, body: Any = None, who: Person | None = None
              ) -> tuple[int, Any]:
    async with shop.console.http.request(
            method, shop.console.origin + path, json=body,
            headers=(who or shop.who).bearer) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_purchase_by_pages(shop: Shop, language: str) -> None:
    cookies = shop.who.cookies
    page = await shop.console.get(f"/balance?lang={language}", cookies=cookies)
    text = await page.text()
    assert ("Way to pay" if language == "en" else "支付方式") in text
    answer = await send(shop, "/balance", partner="card", amount="12.34")
    where = answer.headers["Location"]
    assert answer.status == 303 and where.startswith("/orders/ord_")
    text = await (await shop.console.get(where, cookies=cookies)).text()
    trade = shop.trade()
    assert f'href="{shop.demo.origin}/page/{trade.session}"' in text
    # the payer comes back before any message, and before the payment
    back = f"/pay/return/{trade.told.order}?anything=paid&amount=1000000"
    answer = await shop.console.get(back, cookies=cookies)
    assert answer.headers["Location"] == where
    assert "waits for the payment" in await (await shop.console.get(where, cookies=cookies)).text()
    await shop.pay()
    assert (await send(shop, where + "/look")).headers["Location"] == where
    text = await (await shop.console.get(where, cookies=cookies)).text()
    assert "credited" in text and shop.demo.origin not in text
    assert "12.34" in await (await shop.console.get("/balance", cookies=cookies)).text()


@pytest.mark.parametrize("fields, status", [
    ({"partner": "card", "amount": ""}, 422), ({"partner": "card", "amount": "0.99"}, 422),
    ({"partner": "card", "amount": "10000.01"}, 422), ({"partner": "card", "amount": "1e3"}, 422),
    ({"partner": "card", "amount": "-5"}, 422), ({"partner": "card", "amount": "5.001"}, 422),
    ({"partner": "nobody", "amount": "5"}, 404), ({"partner": "card", "amount": CARD}, 422),
    ({"partner": CARD, "amount": "5"}, 422), ({"partner": "card", "amount": "5", "x": "y"}, 422),
])
async def test_what_is_refused(shop: Shop, fields: dict[str, str], status: int) -> None:
    answer = await send(shop, "/balance", **fields)
    text = await answer.text()
    assert answer.status == status and CARD not in text
    assert shop.demo.book.trades == {}


async def test_for_programs(shop: Shop) -> None:
    status, said = await api(shop, "GET", "/api/v1/balance")
    assert (status, said) == (200, {
        "balances": [], "currency": "CNY", "least": "1.00", "most": "10000.00",
        "partners": ["alipay", "card", "wechat"]})
    wish = {"partner": "wechat", "amount": "12.34", "idempotency_key": "k1"}
    status, made = await api(shop, "POST", "/api/v1/orders", wish)
    assert status == 201 and made["state"] == "pending" and made["amount"] == "12.34"
    assert (await api(shop, "POST", "/api/v1/orders", wish))[1] == made
    status, said = await api(shop, "POST", "/api/v1/orders", {**wish, "amount": "12.35"})
    assert (status, said["error"]["code"]) == (422, "idempotency_mismatch")
    await shop.pay()
    # asking for it finds the payment
    status, said = await api(shop, "GET", f"/api/v1/orders/{made['id']}")
    assert said["state"] == "credited" and said["page"] is None
    assert [each["id"] for each in (await api(shop, "GET", "/api/v1/orders"))[1]] == [made["id"]]
    assert (await api(shop, "GET", f"/api/v1/orders?before={made['id']}"))[1] == []
    assert (await api(shop, "GET", "/api/v1/balance"))[1]["balances"] == [
        {"currency": "CNY", "paid": "12.34", "given": "0.00", "returning": "0.00",
         "disputed": "0.00"}]
    [moved] = (await api(shop, "GET", "/api/v1/balance/movements?currency=CNY"))[1]
    assert (moved["kind"], moved["amount"]) == ("top_up", "12.34")
    assert (await api(shop, "GET", "/api/v1/balance/movements?currency=CNY&before=1"))[1] == []
    status, said = await api(
        shop, "GET", f"/api/v1/balance/movements?currency=CNY&before={1 << 80}")
    assert (status, said["error"]["code"]) == (422, "invalid_form")


async def test_nobody_sees_another_s(shop: Shop) -> None:
    _, made = await api(shop, "POST", "/api/v1/orders", {"partner": "card", "amount": "5"})
    other = await person(shop.console.db, NOW_MS, name="other")
    status, said = await api(shop, "GET", f"/api/v1/orders/{made['id']}", who=other)
    assert (status, said["error"]["code"]) == (404, "order_not_found")
    assert (await api(shop, "GET", "/api/v1/orders", who=other))[1] == []
    for path in (f"/orders/{made['id']}", f"/pay/return/{made['id']}"):
        assert (await shop.console.get(path, cookies=other.cookies)).status == 404


async def test_a_partner_that_is_away(shop: Shop) -> None:
    await send(shop, "/balance", partner="card", amount="5")
    order = shop.trade().told.order
    await shop.demo.stop()
    answer = await send(shop, "/balance", partner="card", amount="5")
    assert answer.status == 502
    # what is known is still shown
    assert (await shop.console.get(f"/pay/return/{order}",
                                   cookies=shop.who.cookies)).status == 303
    assert (await api(shop, "GET", f"/api/v1/orders/{order}"))[1]["state"] == "pending"


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_payment_on_the_telephone_that_the_page_is_on(shop: Shop, language: str) -> None:
    """Its page is led to with our origin: it takes nobody without."""
    answer = await shop.console.get(f"/balance?lang={language}", cookies=shop.who.cookies)
    page = await answer.text()
    assert 'value="wechat/h5"' in page and 'value="card/h5"' not in page
    assert ("network address" if language == "en" else "网络地址") in page
    answer = await send(shop, "/balance", partner="wechat/h5", amount="5")
    where = answer.headers["Location"]
    page = await (await shop.console.get(
        f"{where}?lang={language}", cookies=shop.who.cookies)).text()
    assert "code.svg" not in page and 'referrerpolicy="origin"' in page
    assert ("on this phone" if language == "en" else "本手机") in page
    back = f"/pay/return/{where.rpartition('/')[2]}"
    assert f"redirect_url=http%3A%2F%2F127.0.0.1%3A8081{quote(back, safe='')}" in page
    await shop.pay()
    assert (await send(shop, f"{where}/look")).status == 303
    assert (await api(shop, "GET", f"/api/v1{where}"))[1]["state"] == "credited"


async def test_who_is_nowhere_is_not_offered_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "address_of", lambda request, services: "")
    page = await (await shop.console.get("/balance", cookies=shop.who.cookies)).text()
    assert 'value="wechat"' in page and "wechat/h5" not in page
    answer = await send(shop, "/balance", partner="wechat/h5", amount="5")
    assert answer.status == 404 and shop.demo.book.trades == {}
    # programs have no such way
    status, said = await api(shop, "POST", "/api/v1/orders",
                             {"partner": "wechat/h5", "amount": "5"})
    assert (status, said["error"]["code"]) == (404, "partner_not_found")


async def test_without_partners_there_is_nothing_to_fill_in(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    text = await (await console.get("/balance", cookies=who.cookies)).text()
    assert "<form class=\"card form\"" not in text and "Nothing can be paid here" in text


async def test_a_code_to_scan(shop: Shop) -> None:
    _, made = await api(shop, "POST", "/api/v1/orders", {"partner": "wechat", "amount": "5"})
    where = f"/orders/{made['id']}"
    page = await (await shop.console.get(where, cookies=shop.who.cookies)).text()
    assert f'src="{where}/code.svg"' in page and "WeChat Pay" in page
    answer = await shop.console.get(f"{where}/code.svg", cookies=shop.who.cookies)
    assert answer.content_type == "image/svg+xml" and b"<path" in await answer.read()
    await shop.pay()
    await api(shop, "GET", f"/api/v1/orders/{made['id']}")
    answer = await shop.console.get(f"{where}/code.svg", cookies=shop.who.cookies)
    assert answer.status == 409
    other = await person(shop.console.db, NOW_MS, name="other")
    assert (await shop.console.get(f"{where}/code.svg", cookies=other.cookies)).status == 404
