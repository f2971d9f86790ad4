"""Orders: made once for each key, within bounds; refunds are held before they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from relayd.control import account, audit, order
from relayd.control.order import OrderWish, RefundWish
from relayd.control.partner import payments
from relayd.core.currency import to_nano
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.partner import PartnerEvent
from relayd.core.posting import charge
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.order import OrderFilter
from tests.fakes.till import URL, Till, till

__all__ = ["till"]
AMOUNT = 12345
FULL = to_nano(AMOUNT, "CNY")


async def code_of(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_a_key_makes_one_order(till: Till) -> None:
    first = await till.order(key="my key")
    assert await till.order(key="my key") == first
    together = await asyncio.gather(*[till.order(key="another") for _ in range(5)])
    assert len({made.id for made in together}) == 1
    assert await code_of(till.order(amount=AMOUNT + 1, key="my key")) == "idempotency_mismatch"
    assert await code_of(till.order(partner="alipay", key="my key")) == "idempotency_mismatch"
    for bad in ("", "x" * 201, "a\nb"):
        assert await code_of(till.order(key=bad)) == "invalid_value"
    assert len(await order.listing(till.db, OrderFilter(till.holder))) == 2
    assert len(till.demo.book.trades) == 2
    raw = (till.db.directory / "relayd.db").read_bytes() + (
        till.db.directory / "relayd.db-wal").read_bytes()
    assert b"my key" not in raw


PAYER = "203.0.113.77"


async def on_phone(till: Till, partner: str = "wechat", payer: str = PAYER, key: str | None = None
                   ) -> Order:
    return await order.create(till.db, till.payments, till.actor, till.holder,
                              OrderWish(partner, AMOUNT, key, payer), till.now_ms)


async def test_an_order_that_is_paid_on_the_telephone(till: Till) -> None:
    made = await on_phone(till)
    assert made.on_phone and str(made.page).startswith(till.demo.origin)
    _, message = await till.paid(made)
    assert (await till.hear("wechat", message)).outcome == "credited"
    assert await till.balance() == FULL and await till.wrong() == []
    await till.order("wechat")
    assert [orjson.loads(entry.event.details)["h5"] async for entry in audit.listing(till.db)
            if entry.event.action == "order.create"] == [True, False]
    # the address was told, and is kept nowhere
    files = [path for path in till.db.directory.rglob("*") if path.is_file()]
    assert len(files) > 2 and not any(PAYER.encode() in path.read_bytes() for path in files)
    assert PAYER not in repr(OrderWish("wechat", 1, None, PAYER))


async def test_an_address_is_told_by_that_one_way_alone(till: Till) -> None:
    heard = []
    real = till.demo._wechat.post

    def listen(path: str, said: Mapping[str, Any], origin: str) -> Any:
        heard.append((path.rpartition("/")[2], said.get("scene_info")))
        return real(path, said, origin)

    till.demo._wechat.post = listen  # type: ignore[method-assign]
    await till.order("wechat")
    await on_phone(till)
    assert heard == [("native", None),
                     ("h5", {"payer_client_ip": PAYER, "h5_info": {"type": "Wap"}})]
    for partner, payer in (("card", PAYER), ("alipay", PAYER), ("wechat", "unix"),
                           ("wechat", "")):
        assert await code_of(on_phone(till, partner, payer)) == "partner_not_found"
    wechat = replace(till.payments.config.partners["wechat"], h5=False)
    till.payments = payments(replace(
        till.payments.config, partners={"wechat": wechat}), till.payments.url)
    assert await code_of(on_phone(till)) == "partner_not_found"
    assert len(heard) == 2


async def test_the_way_is_part_of_what_a_key_asks_for(till: Till) -> None:
    first = await on_phone(till, key="k")
    assert (await on_phone(till, payer="198.51.100.1", key="k")).id == first.id
    assert await code_of(till.order("wechat", AMOUNT, "k")) == "idempotency_mismatch"


async def test_a_key_is_of_one_account(till: Till) -> None:
    first = await till.order(key="same")
    other = await account.create(till.db, "other@example.org", None, till.now_ms)
    made = await order.create(till.db, till.payments, till.actor, other.id,
                              OrderWish("card", AMOUNT, "same"), till.now_ms)
    assert made.id != first.id
    assert await code_of(order.get(till.db, made.id, till.holder)) == "order_not_found"
    assert await order.get(till.db, made.id, other.id) == made
    assert await code_of(order.get(till.db, "ord_nobody")) == "order_not_found"


@pytest.mark.parametrize("amount", [0, -1, 99, 1_000_001, 10 ** 30])
async def test_amounts_have_bounds(till: Till, amount: int) -> None:
    assert await code_of(till.order(amount=amount)) == "payment_amount"
    assert till.demo.book.trades == {}


@pytest.mark.parametrize("amount", [100, 1_000_000])
async def test_the_bounds_of_amounts_are_amounts_too(till: Till, amount: int) -> None:
    assert amount in (till.payments.config.top_up_min, till.payments.config.top_up_max)
    assert (await till.order(amount=amount, key="k" * 200)).state == "pending"


async def test_who_may_order(till: Till) -> None:
    assert await code_of(till.order(partner="nobody")) == "partner_not_found"
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = 'suspended'")
    assert (await till.order()).state == "pending"
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = 'terminated'")
    assert await code_of(till.order()) == "account_state"


async def test_open_orders_have_a_bound(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "OPEN_MAX", 3)
    for _ in range(3):
        await till.order()
    assert await code_of(till.order()) == "rate_limited"


async def test_a_partner_that_is_away(till: Till) -> None:
    port = till.demo.port
    await till.demo.stop()
    assert await code_of(till.order(key="k")) == "partner_failed"
    [waiting] = await order.listing(till.db, OrderFilter(till.holder))
    assert waiting.state == "created"
    await till.demo.start(port)
    made = await till.order(key="k")
    assert made.id == waiting.id and made.state == "pending" and made.page


async def test_an_order_whose_time_is_over_is_opened_no_more(till: Till) -> None:
    """Its key gives it as it stands: a page that nobody can pay by its time helps nobody."""
    port = till.demo.port
    await till.demo.stop()
    assert await code_of(till.order(key="k")) == "partner_failed"
    [waiting] = await order.listing(till.db, OrderFilter(till.holder))
    await till.demo.start(port)
    till.now_ms = waiting.expires_at_ms
    assert await till.order(key="k") == waiting
    assert waiting.state == "created" and till.demo.book.trades == {}
    till.now_ms -= 1
    assert (await till.order(key="k")).state == "pending" and len(till.demo.book.trades) == 1


async def test_a_partner_that_refuses(till: Till) -> None:
    till.demo._stripe._keys = till.demo._keys.__class__(
        till.demo._keys.merchant, till.demo._keys.partner, "sk_other", "", "")
    assert await code_of(till.order()) == "partner_refused"
    [failed] = await order.listing(till.db, OrderFilter(till.holder))
    assert failed.state == "failed"


@pytest.mark.parametrize("partner", ["card", "alipay", "wechat"])
async def test_an_order_is_asked_about(till: Till, partner: str) -> None:
    """Without any message: what was paid is found, what was not ends with its time."""
    first, second = await till.order(partner), await till.order(partner)
    assert (await order.refresh(till.db, till.payments, first, till.now_ms)).state == "pending"
    trade = await till.trade(first)
    till.demo.book.pay(trade)
    assert (await order.refresh(till.db, till.payments, first, till.now_ms)).state == "credited"
    assert await till.balance() == FULL
    till.now_ms += 3_600_000
    ended = await order.refresh(till.db, till.payments, second, till.now_ms)
    assert ended.state == "expired" and ended.page is None
    assert await till.wrong() == []
    # nothing to ask about any more
    first = await till.look(first)
    assert await order.refresh(till.db, till.payments, first, till.now_ms) == first


async def test_an_order_of_a_partner_that_is_gone_ends_with_its_time(till: Till) -> None:
    made = await till.order()
    till.payments.partners.pop("card")  # type: ignore[attr-defined]
    assert await order.refresh(till.db, till.payments, made, till.now_ms) == made
    till.now_ms = made.expires_at_ms
    assert (await order.refresh(till.db, till.payments, made, till.now_ms)).state == "expired"


async def test_an_order_whose_money_is_on_the_way_stays_open(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a bank's debit, where the partner knows days later whether it was paid."""
    made = await till.order()
    said = PartnerEvent("card", "", "ignored", made.id, waits=True)

    async def ask(*_: object) -> PartnerEvent:
        return said

    with monkeypatch.context() as patched:
        patched.setattr("relayd.control.webhook.ask", ask)
        till.now_ms = made.expires_at_ms + order.WAITS_MS - 1
        assert await order.refresh(till.db, till.payments, made, till.now_ms) == made
        said = replace(said, kind="failed", waits=False)
        assert (await order.refresh(till.db, till.payments, made, till.now_ms)).state == "failed"
        late = await till.order()
        said = replace(said, order=late.id, kind="ignored", waits=True)
        till.now_ms = late.expires_at_ms + order.WAITS_MS
        assert (await order.refresh(till.db, till.payments, late, till.now_ms)).state == "expired"
    assert await till.wrong() == []


@pytest.mark.parametrize("partner", ["card", "alipay", "wechat"])
async def test_a_refund(till: Till, partner: str) -> None:
    made, trade = await till.credited(partner)
    back = await till.refund(made, 345)
    assert back.state == "done"
    assert (await till.look(made)).state == "part_refunded"
    assert await till.balance() == to_nano(AMOUNT - 345, "CNY")
    assert (await till.refund(made, AMOUNT - 345)).state == "done"
    after = await till.look(made)
    assert after.state == "refunded" and after.left_minor == 0
    assert [each.amount for each in trade.refunds] == [345, AMOUNT - 345]
    assert await till.balance() == 0 and await till.balance("refunds") == 0
    assert await till.wrong() == []
    assert await code_of(till.refund(made, 1)) == "order_state"
    assert [each.state for each in await order.refunds(till.db, made.id)] == ["done", "done"]


async def test_what_was_used_does_not_go_back(till: Till) -> None:
    made, trade = await till.credited()
    async with till.db.writing() as transaction:
        await store_posting.post(transaction, charge("calls:1", FULL - 1, "CNY", till.holder, 0),
                                 till.now_ms)
    assert await code_of(till.refund(made, 1)) == "balance_short"
    assert trade.refunds == [] and await order.refunds(till.db, made.id) == []


@pytest.mark.parametrize("amount, code", [
    (0, "payment_amount"), (-1, "payment_amount"), (AMOUNT + 1, "payment_amount")])
async def test_refunds_have_bounds(till: Till, amount: int, code: str) -> None:
    made, _ = await till.credited()
    assert await code_of(till.refund(made, amount)) == code
    assert await till.balance() == FULL


async def test_a_refund_while_the_partner_is_away(till: Till) -> None:
    made, trade = await till.credited()
    port = till.demo.port
    await till.demo.stop()
    assert await code_of(till.refund(made, AMOUNT)) == "partner_failed"
    # held: it cannot be spent, and not be asked for twice
    assert await till.balance() == 0 and await till.balance("refunds") == FULL
    assert await code_of(till.refund(made, AMOUNT)) == "order_state"
    await till.demo.start(port)
    async with till.db.reading() as transaction:
        [pending] = await store_order.pending_refunds(transaction, 10)
    for _ in range(3):
        after = await order.ask_again(till.db, till.payments, pending, till.now_ms)
    assert after.state == "done" and len(trade.refunds) == 1
    assert await till.balance("refunds") == 0 and await till.wrong() == []


async def test_refunds_are_asked_for_one_at_a_time(till: Till) -> None:
    """Two parts at once would leave nobody to say which of them a partner answers."""
    made, trade = await till.credited()
    port = till.demo.port
    await till.demo.stop()
    assert await code_of(till.refund(made, 100)) == "partner_failed"
    assert await code_of(till.refund(made, 45)) == "order_state"
    await till.demo.start(port)
    [pending] = await order.pending_refunds(till.db, 10)
    await order.ask_again(till.db, till.payments, pending, till.now_ms)
    assert (await till.refund(made, 45)).state == "done"
    assert [each.amount for each in trade.refunds] == [100, 45]


async def test_open_orders_wait_the_oldest_first(till: Till) -> None:
    made = []
    for _ in range(3):
        till.now_ms += 10
        made.append((await till.order()).id)

    async def waiting(until_ms: int, most: int) -> list[str]:
        return [each.id for each in await order.waiting(till.db, until_ms, most)]

    assert await waiting(till.now_ms, 9) == made[:2]
    assert await waiting(till.now_ms + 1, 2) == made[:2]
    assert await waiting(till.now_ms + 1, 3) == made


@pytest.mark.parametrize("partner", ["card", "alipay", "wechat"])
async def test_a_refund_that_the_partner_refuses(till: Till, partner: str) -> None:
    made, trade = await till.credited(partner)
    till.demo.book.refund(trade, "elsewhere", AMOUNT)
    assert (await till.refund(made, AMOUNT)).state == "failed"
    assert (await till.look(made)).state == "credited"
    assert await till.balance() == FULL and await till.balance("refunds") == 0
    assert await till.wrong() == []


def test_why_a_refund_is_asked_for_is_in_no_text_of_it() -> None:
    assert "of Ann's" not in repr(RefundWish("ord_1", 1, "the card was of Ann's"))


async def test_views(till: Till) -> None:
    made = await till.order()
    shown = order.view(made)
    assert shown["amount"] == "123.45" and shown["page"] == made.page
    assert made.page not in repr(made) if made.page else False
    assert till.payments.order_link(made.id) == f"{URL}/orders/{made.id}"
