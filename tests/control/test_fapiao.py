"""Fapiao: from paid orders, never above what was paid; red letters never above the blue one."""

from __future__ import annotations

import random
from collections.abc import Awaitable

import orjson
import pytest

from relayd.control import account, audit, enterprise, fapiao, fapiao_file, mail
from relayd.control.fapiao import Offer, Wish
from relayd.control.fapiao_file import Item
from relayd.control.invoice import Seller
from relayd.control.issuer import ByHand
from relayd.core.actor import SHELL, Actor
from relayd.core.enterprise import Enterprise
from relayd.core.errors import RelayError
from relayd.core.fapiao import ORDERS_MAX, RED_REASONS, Fapiao
from relayd.core.issued import wanted
from relayd.core.operator import Operator
from relayd.core.timestamp import DAY_MS
from relayd.core.vat import Vat
from relayd.store import fapiao as store_fapiao
from relayd.store.fapiao import FapiaoFilter
from relayd.wire.fapiao import write_xml
from tests.fakes.audited import audited
from tests.fakes.till import Till, till

__all__ = ["till"]
SELLER = Seller(Operator(name="Seller Ltd", name_zh="卖方（深圳）有限公司",
                         uscc="91330100799655058B"), Vat(600),
                origin="https://console.test")
COMPANY = Enterprise("买方（北京）科技有限公司", "9144030071526726XG", "某路 1 号", "010-1234567",
                     "某银行", "6222021234567890123")
DAYS = 360
ITEM = Item("*信息技术服务*API 服务费", "3040105000000000000")


async def code_of(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def applied(till: Till, *orders: str, **fields: object) -> Fapiao:
    values = {"title": "王小明", **fields}
    wish = Wish(orders, **values)  # type: ignore[arg-type]
    return await fapiao.apply(
        till.db, till.actor, till.holder, wish, Offer(SELLER, DAYS), till.now_ms)


async def file_of(till: Till, made: Fapiao, number: str) -> bytes:
    async with till.db.reading() as transaction:
        blue = made.reverses and await store_fapiao.get(transaction, made.reverses)
    return write_xml(wanted(made, SELLER.block(), blue or None)._replace(
        number=number, issued_on="2026-11-29"))


async def take_in(till: Till, made: Fapiao, number: str) -> Fapiao:
    made = await fapiao.look(till.db, SHELL, made.id, till.now_ms)
    return await fapiao_file.take_in(till.db, SHELL, made.id, await file_of(till, made, number),
                                     SELLER, till.now_ms)


async def issued(till: Till, amount: int = 12345, number: str = "2" * 20, **fields: object
                 ) -> Fapiao:
    order, _ = await till.credited("alipay", amount)
    made = await applied(till, order.id, **fields)
    await fapiao.take(till.db, SHELL, made.id, till.now_ms)
    await fapiao_file.send(till.db, SHELL, ByHand(), made.id, SELLER, till.now_ms)
    return await take_in(till, made, number)


async def test_the_way_of_an_application(till: Till) -> None:
    made = await issued(till)
    assert (made.state, made.number, made.issued_on) == ("issued", "2" * 20, "2026-11-29")
    assert (made.amount_minor, made.tax_minor) == (12345, 699)
    for _ in range(2):
        content = await fapiao_file.deliver(
            till.db, Actor(till.holder), till.holder, made.id, "xml", till.now_ms)
    assert "王小明".encode() in content
    # the first time alone is an event
    async with till.db.reading() as transaction:
        assert await transaction.rows(
            "SELECT action, actor, target FROM audit_log ORDER BY seq DESC LIMIT 2") == [
            ("fapiao.deliver", till.holder, till.holder), ("fapiao.import", None, till.holder)]
    assert (await fapiao.own(till.db, till.holder, made.id)).state == "delivered"
    assert await code_of(fapiao.own(till.db, "acct_other", made.id)) == "fapiao_not_found"
    assert "fapiao_ready" in [each.kind for each in await mail.listing(
        till.db, account_id=till.holder)]
    raw = (till.db.directory / "relayd.db").read_bytes() + (
        till.db.directory / "relayd.db-wal").read_bytes()
    assert "王小明".encode() not in raw


async def test_an_order_is_applied_for_once(till: Till) -> None:
    order, _ = await till.credited("alipay", 1000)
    [(found, left)] = await fapiao.open_orders(till.db, till.holder, DAYS, till.now_ms)
    assert (found.id, left) == (order.id, 1000)
    made = await applied(till, order.id)
    assert await code_of(applied(till, order.id)) == "fapiao_amount"
    assert await fapiao.open_orders(till.db, till.holder, DAYS, till.now_ms) == []
    await fapiao.reject(till.db, SHELL, made.id, "title", SELLER, till.now_ms)
    assert (await fapiao.own(till.db, till.holder, made.id)).reason == "title"
    assert "fapiao_rejected" in [each.kind for each in await mail.listing(
        till.db, account_id=till.holder)]
    again = await applied(till, order.id)
    assert (await fapiao.cancel(till.db, till.actor, till.holder, again.id, till.now_ms)
            ).state == "cancelled"
    assert [(act.action, act.target, act.details["fapiao"])
            for act in await audited(till.db, "fapiao.c", "fapiao.r")] == [
        ("fapiao.reject", till.holder, made.id), ("fapiao.cancel", till.holder, again.id)]
    till.now_ms += (DAYS + 1) * 86_400_000
    assert await code_of(applied(till, order.id)) == "fapiao_amount"


async def test_an_order_can_be_applied_for_so_many_days(till: Till) -> None:
    order, _ = await till.credited("alipay", 1000)
    paid_ms = order.paid_at_ms
    assert paid_ms is not None
    for left_ms, found in ((DAYS * DAY_MS, [(order.id, 1000)]), (DAYS * DAY_MS + 1, [])):
        assert [(each.id, minor) for each, minor in await fapiao.open_orders(
            till.db, till.holder, DAYS, paid_ms + left_ms)] == found
    till.now_ms = paid_ms + DAYS * DAY_MS + 1
    assert await code_of(applied(till, order.id)) == "fapiao_amount"
    till.now_ms -= 1
    assert (await applied(till, order.id)).amount_minor == 1000


async def test_whose_an_order_and_a_fapiao_are(till: Till) -> None:
    other = (await account.create(till.db, "other@example.org", None, till.now_ms)).id
    order, _ = await till.credited("alipay", 1000)

    def apply(who: str, *orders: str) -> Awaitable[Fapiao]:
        return fapiao.apply(till.db, Actor(who), who, Wish(orders, title="王小明"),
                            Offer(SELLER, DAYS), till.now_ms)

    assert await code_of(apply(other, order.id)) == "order_not_found"
    assert await fapiao.open_orders(till.db, other, DAYS, till.now_ms) == []
    for orders in ((), tuple(f"ord_{number}" for number in range(ORDERS_MAX + 1))):
        assert await code_of(apply(till.holder, *orders)) == "invalid_value"
    made = await apply(till.holder, order.id, order.id)
    assert await code_of(fapiao.cancel(
        till.db, Actor(other), other, made.id, till.now_ms)) == "fapiao_not_found"
    assert (await fapiao.look(till.db, SHELL, made.id, till.now_ms)).state == "submitted"
    assert [(entry.event.action, entry.event.actor, orjson.loads(entry.event.details))
            async for entry in audit.listing(till.db, target=till.holder)
            if entry.event.action.startswith("fapiao.")] == [
        ("fapiao.apply", till.holder,
         {"fapiao": made.id, "kind": "ordinary", "amount_minor": 1000}),
        ("fapiao.look", None, {"fapiao": made.id})]


async def test_the_newest_are_listed(till: Till) -> None:
    made = []
    for _ in range(3):
        order, _ = await till.credited("alipay", 1000)
        till.now_ms += 1
        made.append((await applied(till, order.id)).id)
    for most in (1, 2, 3, 500):
        assert [each.id for each in await fapiao.listing(
            till.db, FapiaoFilter(till.holder), most)] == made[::-1][:most]


async def test_reasons_are_of_a_list(till: Till) -> None:
    order, _ = await till.credited("alipay", 1000)
    made = await applied(till, order.id)
    assert await code_of(fapiao.reject(
        till.db, SHELL, made.id, "because", SELLER, till.now_ms)) == "invalid_value"
    assert (await fapiao.own(till.db, till.holder, made.id)).state == "submitted"
    blue = await issued(till)
    assert fapiao.view(blue)["number"] == "2" * 20
    assert await code_of(fapiao.reverse(
        till.db, SHELL, blue.id, 1, "99", till.now_ms)) == "invalid_value"
    # a red letter is kept as long as its blue one, and at least for a moment
    for now_ms, until_ms in ((till.now_ms, blue.until_ms), (blue.until_ms, blue.until_ms + 1)):
        red = await fapiao.reverse(till.db, SHELL, blue.id, 1, "01", now_ms)
        assert red.until_ms == until_ms


async def test_what_was_refunded_is_not_applied_for(till: Till) -> None:
    order, _ = await till.credited("alipay", 1000)
    await till.refund(order, 400)
    made = await applied(till, order.id)
    assert made.amount_minor == 600
    assert await fapiao.too_much(till.db) == []
    await till.refund(order, 100)
    assert await fapiao.too_much(till.db) == [(order.id, till.holder, 100)]


@pytest.mark.parametrize("won", [True, False])
async def test_a_red_letter_is_due_for_what_a_dispute_took(till: Till, won: bool) -> None:
    order, trade = await till.credited("card", 1000)
    await applied(till, order.id)
    till.demo.dispute(trade)
    till.demo.close(trade, won=won)
    for message in till.demo.delivery.messages[-2:]:
        await till.hear("card", message)
    assert await fapiao.too_much(till.db) == ([] if won else [(order.id, till.holder, 1000)])


async def test_companies_alone_have_a_company_s_title(till: Till) -> None:
    order, _ = await till.credited("alipay", 1000)
    assert await code_of(applied(till, order.id, title=None)) == "not_enterprise"
    assert await code_of(applied(till, order.id, kind="special")) == "not_enterprise"
    assert await code_of(enterprise.change(
        till.db, till.actor, till.holder, COMPANY, till.now_ms)) == "not_enterprise"
    await enterprise.mark(till.db, SHELL, till.holder, till.now_ms)
    await enterprise.change(till.db, till.actor, till.holder, COMPANY, till.now_ms)
    made = await applied(till, order.id, title=None, kind="special")
    assert dict(made.buyer) == {"name": COMPANY.name, "uscc": COMPANY.uscc}
    raw = (till.db.directory / "relayd.db-wal").read_bytes()
    assert COMPANY.bank_account.encode() not in raw and COMPANY.name.encode() not in raw
    await fapiao.cancel(till.db, till.actor, till.holder, made.id, till.now_ms)
    made = await applied(till, order.id, title=None, shown=True)
    assert made.buyer["bank_account"] == COMPANY.bank_account


@pytest.mark.parametrize("field,value", [
    ("number", "3"), ("net_minor", 1), ("tax_minor", 1), ("total_minor", 1),
    ("seller_uscc", "91330100799655058C"), ("seller_name", "x"), ("buyer_name", "x"),
    ("kind", "special"), ("red", True)])
async def test_a_file_of_something_else_is_not_taken(
    till: Till, field: str, value: object
) -> None:
    order, _ = await till.credited("alipay", 12345)
    made = await applied(till, order.id)
    await fapiao.take(till.db, SHELL, made.id, till.now_ms)
    await fapiao_file.send(till.db, SHELL, ByHand(), made.id, SELLER, till.now_ms)
    says = wanted(made, SELLER.block())._replace(number="1" * 20, issued_on="2026-11-29")
    content = write_xml(says._replace(**{field: value}))  # type: ignore[arg-type]
    with pytest.raises(RelayError) as caught:
        await fapiao_file.take_in(till.db, SHELL, made.id, content, SELLER, till.now_ms)
    assert (caught.value.code, caught.value.param) in (
        ("fapiao_mismatch", field), ("fapiao_mismatch", "words"))
    assert (await fapiao.own(till.db, till.holder, made.id)).state == "issuing"


async def test_a_number_is_one_fapiao_s(till: Till) -> None:
    await issued(till)
    assert await code_of(issued(till)) == "fapiao_mismatch"


async def reversed_(till: Till, blue: Fapiao, back: int, number: int) -> Fapiao:
    red = await fapiao.reverse(till.db, SHELL, blue.id, back, "03", till.now_ms)
    await fapiao.confirm(till.db, SHELL, red.id, f"{number:020d}", till.now_ms)
    return await take_in(till, red, f"{number + 500:020d}")


async def test_red_letters_in_part_and_in_full(till: Till) -> None:
    blue = await issued(till)
    red = await reversed_(till, blue, 45, 1)
    assert (red.state, red.amount_minor, red.tax_minor) == ("red_issued", -45, -3)
    assert [(act.action, act.target, act.details["fapiao"])
            for act in await audited(till.db, "fapiao.t", "fapiao.r", "fapiao.c")] == [
        ("fapiao.take", till.holder, blue.id), ("fapiao.reverse", till.holder, blue.id),
        ("fapiao.confirm", till.holder, red.id)]
    assert (await fapiao.own(till.db, till.holder, blue.id)).state == "part_reversed"
    [(_, left)] = await fapiao.open_orders(till.db, till.holder, DAYS, till.now_ms)
    assert left == 45
    assert await code_of(fapiao.reverse(
        till.db, SHELL, blue.id, 12301, "03", till.now_ms)) == "fapiao_amount"
    await reversed_(till, blue, 12300, 2)
    assert (await fapiao.own(till.db, till.holder, blue.id)).state == "reversed"
    assert await code_of(fapiao.reverse(
        till.db, SHELL, blue.id, 1, "03", till.now_ms)) == "fapiao_state"
    async with till.db.reading() as transaction:
        assert await store_fapiao.left(transaction, blue) == (0, 0, 0)


async def test_a_confirmation_is_of_one_red_letter(till: Till) -> None:
    blue = await issued(till, 1000)
    one, two = [await fapiao.reverse(till.db, SHELL, blue.id, 5, "01", till.now_ms)
                for _ in range(2)]
    await fapiao.confirm(till.db, SHELL, one.id, "7" * 20, till.now_ms)
    assert await code_of(fapiao.confirm(
        till.db, SHELL, two.id, "7" * 20, till.now_ms)) == "invalid_value"


async def test_a_red_letter_that_is_refused_gives_back_what_it_held(till: Till) -> None:
    blue = await issued(till, 1000)
    red = await fapiao.reverse(till.db, SHELL, blue.id, 1000, "01", till.now_ms)
    assert await code_of(fapiao.reverse(
        till.db, SHELL, blue.id, 1, "01", till.now_ms)) == "fapiao_amount"
    refused = await fapiao.reject(till.db, SHELL, red.id, "", SELLER, till.now_ms)
    assert refused.state == "red_refused"
    assert [act.action for act in await audited(till.db, "fapiao.c")] == ["fapiao.confirm"]
    await fapiao.reverse(till.db, SHELL, blue.id, 1000, "01", till.now_ms)


@pytest.mark.parametrize("seed", range(3))
async def test_partial_reversals_never_above_the_original(till: Till, seed: int) -> None:
    dice = random.Random(seed)
    blue = await issued(till, dice.randrange(100, 100_000))
    back = []
    for step in range(12):
        amount = dice.randrange(1, blue.amount_minor)
        try:
            back.append(await reversed_(till, blue, amount, step))
        except RelayError as error:
            assert error.code in ("fapiao_amount", "fapiao_state")
    total = sum(red.amount_minor for red in back)
    tax = sum(red.tax_minor for red in back)
    assert 0 <= blue.amount_minor + total and 0 <= blue.tax_minor + tax
    assert blue.amount_minor + total >= blue.tax_minor + tax
    assert all(-red.amount_minor >= -red.tax_minor >= 0 for red in back)


async def test_what_the_bookkeeper_is_handed(till: Till) -> None:
    order, _ = await till.credited("alipay", 12345)
    made = await applied(till, order.id, title="=cmd();=two()")
    await fapiao.take(till.db, SHELL, made.id, till.now_ms)
    [row] = await fapiao_file.export(till.db, SHELL, ITEM, till.now_ms)
    assert row["id"] == made.id
    assert (row["net"], row["tax"], row["total"], row["rate"]) == (
        "116.46", "6.99", "123.45", "6%")
    assert row["words"] == "壹佰贰拾叁圆肆角伍分"
    content = fapiao_file.as_csv([row])
    assert content.startswith(b"\xef\xbb\xbfid,")  # as Excel knows UTF-8
    text = content.decode("utf-8-sig")
    assert "'=cmd();'=two()" in text and order.id in text
    assert (await fapiao.own(till.db, till.holder, made.id)).state == "issuing"
    assert await fapiao_file.formats(till.db, made) == []
    [listed] = await fapiao.listing(till.db, FapiaoFilter(till.holder))
    assert listed.id == made.id
    assert set(RED_REASONS) == {"01", "02", "03", "04"}
