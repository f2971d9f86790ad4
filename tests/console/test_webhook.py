"""The address for partners' messages, over HTTP: each is answered as its partner wants it."""

from __future__ import annotations

import asyncio
import re
from io import BytesIO

import orjson
import pytest

from relayd.console import form
from relayd.console.services import LARGE_MESSAGES_MAX
from relayd.console.webhook import BODY_BYTES_MAX
from relayd.core.money import decimal
from relayd.ops.notice import Notices
from relayd.store import posting as store_posting
from tests.console.conftest import Console
from tests.console.paying import Shop, shop
from tests.fakes.till import keys

__all__ = ["shop"]


async def made(shop: Shop, partner: str = "card") -> str:
    async with shop.console.http.post(
            f"{shop.console.origin}/api/v1/orders", headers=shop.who.bearer,
            json={"partner": partner, "amount": "12.34"}) as answer:
        assert answer.status == 201
        said = await answer.json()
    if partner == "alipay":
        async with shop.console.browser() as payer:
            await payer.get(said["page"])
    return str(said["id"])


async def balance(shop: Shop) -> list[str]:
    async with shop.console.db.reading() as transaction:
        found = await store_posting.balances(transaction, shop.who.account)
    return [decimal(nano, 2) for nano in found.values()]


@pytest.mark.parametrize("partner, status", [("card", 200), ("alipay", 200), ("wechat", 204)])
async def test_a_message_is_heard(shop: Shop, partner: str, status: int) -> None:
    order = await made(shop, partner)
    message = await shop.pay()
    assert [await shop.deliver(message, partner) for _ in range(3)] == [status] * 3
    assert await balance(shop) == ["12.34"]
    page = await shop.console.get(f"/orders/{order}", cookies=shop.who.cookies)
    assert "credited" in await page.text()


async def test_a_message_that_does_not_become_whole_is_not_waited_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(*shop.console.listener.address)
    writer.write(b"POST /pay/webhook/card HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_a_large_message_is_heard_and_few_at_a_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dispute's evidence is in each message about it."""
    await made(shop)
    message = await shop.pay()
    message.body = orjson.dumps({**orjson.loads(message.body), "more": "€" * 300_000})
    assert form.BODY_BYTES_MAX < len(message.body) < BODY_BYTES_MAX
    assert await shop.deliver(message) == 200 and await balance(shop) == ["12.34"]
    monkeypatch.setattr(form, "BODY_SECONDS", 2.0)
    head = b"POST /pay/webhook/card HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n"
    slow = [await asyncio.open_connection(*shop.console.listener.address)
            for _ in range(LARGE_MESSAGES_MAX)]
    for _, writer in slow:
        writer.write(head)
    await asyncio.sleep(0.2)
    assert await shop.deliver(message) == 503
    for reader, writer in slow:
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
    assert await shop.deliver(message) == 200


async def test_alipay_s_answer_is_exactly_success(shop: Shop) -> None:
    await made(shop, "alipay")
    message = await shop.pay()
    headers, body = message.sign(message.body)
    async with shop.console.http.post(
            f"{shop.console.origin}/pay/webhook/alipay", data=body, headers=headers) as answer:
        assert await answer.read() == b"success"


async def test_what_is_not_the_partner_s(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    order = await made(shop)
    console = shop.console
    for body, status in ((b"", 400), (b"{}", 400), (b"\xff" * 100, 400), (b"quokka", 400),
                         (BytesIO(b"x" * (BODY_BYTES_MAX + 1)), 413)):
        answer = await console.post("/pay/webhook/card", body, headers={
            "Origin": "https://stripe.test", "Stripe-Signature": "t=1,v1=quokka"})
        text = await answer.text()
        assert answer.status == status and "quokka" not in text
    assert (await console.post("/pay/webhook/nobody", b"{}")).status == 404
    assert (await console.get("/pay/webhook/card")).status == 405
    assert await balance(shop) == []
    assert console.listener._services.messages == {
        "webhook_forged": 4, "partner_not_found": 1}
    assert "quokka" not in capfd.readouterr().err
    assert re.fullmatch("ord_[0-9A-Z]{26}", order)


class Lines:
    """What is logged."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, /, **fields: object) -> None:
        """Logs an event."""
        self.told.append((event, fields))


async def test_forged_messages_are_a_line_a_minute(shop: Shop) -> None:
    console, lines = shop.console, Lines()
    now, services = [1000.0], console.listener._services
    services.notices = Notices(lines, lambda: now[0])
    for at in range(40):
        now[0] += 2.0
        answer = await console.post("/pay/webhook/card", b"{}", headers={
            "Stripe-Signature": f"t={at},v1=quokka"})
        assert answer.status == 400
    code = "webhook_forged"
    assert lines.told == [("webhook_refused", {"code": code, "count": count})
                          for count in (1, 30)]
    assert services.messages == {"webhook_forged": 40}


async def test_an_alarm_is_answered_and_told(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    await made(shop)
    trade = shop.trade()
    trade.told = trade.told._replace(amount=999_999)
    assert await shop.deliver(await shop.pay()) == 200
    assert await balance(shop) == []
    told = capfd.readouterr().err
    assert '"event":"payment_alarm"' in told and '"reason":"other_amount"' in told
    assert trade.told.order not in told


async def test_without_partners_nobody_is_heard(console: Console) -> None:
    answer = await console.post("/pay/webhook/card", b"{}")
    assert answer.status == 404 and keys().webhook_secret not in await answer.text()
