"""The demo's partners over HTTP: pages as a browser uses them, and what strangers get."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from tests.fakes.till import URL, Till, till

__all__ = ["till"]


async def test_somebody_pays_on_the_page(till: Till) -> None:
    made = await till.order("card")
    assert made.page is not None
    async with ClientSession() as browser:
        async with browser.get(made.page) as shown:
            text = await shown.text()
            assert "123.45 CNY" in text and made.id in text
            assert "script-src" not in text and "'self'" in shown.headers[
                "Content-Security-Policy"]
        async with browser.post(made.page, data={"step": "pay"}, allow_redirects=False) as after:
            assert after.headers["Location"] == f"http://relay.test/pay/return/{made.id}"
        # once more: nothing happens
        async with browser.post(made.page, data={"step": "pay"}, allow_redirects=False) as again:
            assert again.status == 303
    [message] = till.demo.delivery.messages
    assert (await till.hear("card", message)).outcome == "credited"


async def test_somebody_declines(till: Till) -> None:
    made = await till.order("card")
    async with ClientSession() as browser:
        await browser.post(str(made.page), data={"step": "decline"}, allow_redirects=False)
        await browser.post(str(made.page), data={"step": "pay"}, allow_redirects=False)
    [message] = till.demo.delivery.messages
    assert (await till.hear("card", message)).outcome == "failed"


async def test_an_h5_page_leads_back_to_its_own_shop_alone(till: Till) -> None:
    made = await till.order("wechat")
    async with ClientSession() as browser:
        for back, shown in (("http://evil.test/x", False), (URL + ".evil.test/x", False),
                            (f"{URL}/pay/return/{made.id}", True)):
            async with browser.get(str(made.page), params={"redirect_url": back}) as answer:
                assert (f'href="{back}"' in await answer.text()) is shown


async def test_the_desk(till: Till) -> None:
    made, trade = await till.credited("card")
    async with ClientSession() as browser:
        desk = f"{till.demo.origin}/desk"
        async with browser.get(desk) as shown:
            assert made.id in await shown.text()
        for step in ("dispute", "win", "lose", "refund", "other"):
            await browser.post(f"{desk}/{trade.session}", data={"step": step},
                               allow_redirects=False)
    assert trade.dispute is not None and trade.dispute.state == "won" and trade.left == 0
    outcomes = [(await till.hear("card", each)).outcome
                for each in till.demo.delivery.messages[1:]]
    assert outcomes == ["disputed", "won", "returned"]


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/page/nobody", 404), ("GET", "/stripe/v1/refunds", 401),
    ("GET", "/alipay/gateway.do?a=b", 403), ("POST", "/wechat/v3/pay/transactions/native", 401),
    ("GET", "/other", 404)])
async def test_strangers(till: Till, method: str, path: str, status: int) -> None:
    async with ClientSession() as browser, browser.request(
            method, till.demo.origin + path) as answer:
        assert answer.status == status
