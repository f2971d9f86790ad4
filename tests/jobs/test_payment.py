"""Payments without any message: found, ended, asked for again, held against statements."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest

from relayd.control import order, statement, webhook
from relayd.control.order import RefundWish
from relayd.control.partner import Partner
from relayd.core.actor import SHELL, SYSTEM
from relayd.core.errors import RelayError
from relayd.core.refund import Refund
from relayd.core.statement import Difference
from relayd.core.timestamp import HOUR_MS
from relayd.jobs import payment
from relayd.jobs.payment import PATIENCE_MS, PaymentJob
from relayd.ops.logging import Logger
from relayd.store import order as store_order
from relayd.store.db import Database
from tests.control.test_webhook import erase
from tests.fakes.till import Till, till

__all__ = ["till"]
AMOUNT = 12345


def job(till: Till, said: io.StringIO | None = None) -> PaymentJob:
    return PaymentJob(till.db, lambda: till.payments, every_seconds=0.01,
                      now_ms=lambda: till.now_ms, log=Logger("info", said))


async def test_a_payment_is_found_without_a_message(till: Till) -> None:
    made = await till.order("wechat")
    trade = await till.trade(made)
    till.demo.book.pay(trade)
    work = job(till)
    await work.look()
    assert (await till.look(made)).state == "pending"
    till.now_ms += PATIENCE_MS + 1
    await work.look()
    assert (await till.look(made)).state == "credited" and work.failures == 0


async def test_what_is_found_to_be_paid_for_an_erased_account_is_told(till: Till) -> None:
    made = await till.order("wechat")
    till.demo.book.pay(await till.trade(made))
    await erase(till)
    till.now_ms += PATIENCE_MS + 1
    work = job(till)
    for alarms in (0, 1):
        await work.look()
        assert (await till.look(made)).state == "credited" and work.alarms == alarms


async def test_an_order_is_asked_about_ever_more_rarely(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = order.refresh

    async def counted(*arguments: object) -> object:
        asked.append(till.now_ms)
        return await real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(order, "refresh", counted)
    made = await till.order()
    work = job(till)
    for _ in range(200):
        till.now_ms += 10_000
        await work.look()
    assert (await till.look(made)).state == "expired"
    # 33 minutes by rounds of ten seconds, and at the order's own end
    assert 8 <= len(asked) <= 20
    assert any(made.expires_at_ms <= at <= made.expires_at_ms + 10_000 for at in asked)


async def test_a_refund_is_asked_for_again(till: Till) -> None:
    made, trade = await till.credited()
    port = till.demo.port
    await till.demo.stop()
    with pytest.raises(RelayError):
        await till.refund(made, AMOUNT)
    work = job(till)
    till.now_ms += 60_000
    await work.look()
    assert work.failures > 0
    await till.demo.start(port)
    till.now_ms += 60_000
    await work.look()
    assert (await till.look(made)).state == "refunded" and len(trade.refunds) == 1
    async with till.db.reading() as transaction:
        assert await store_order.pending_refunds(transaction, 9) == []


async def test_a_partner_that_is_away_holds_up_no_other(till: Till) -> None:
    card, alipay = await till.order("card"), await till.order("alipay")
    for made in (card, alipay):
        till.demo.book.pay(await till.trade(made))
    till.payments.partners["card"].client._text = "http://127.0.0.1:9"
    till.now_ms += PATIENCE_MS + 1
    work = job(till)
    await work.look()
    assert (await till.look(card)).state == "pending"
    assert (await till.look(alipay)).state == "credited"


async def test_however_much_waits_at_a_partner_that_is_away(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment, "BATCH", 2)
    back, _ = await till.credited()
    away = [await till.order("card") for _ in range(4)]
    paid = await till.order("alipay")
    till.demo.book.pay(await till.trade(paid))
    card = till.payments.partners["card"].client
    home, card._text = card._text, "http://127.0.0.1:9"
    till.now_ms += PATIENCE_MS + 1
    work = job(till)
    await work.look()
    assert (await till.look(paid)).state == "credited"
    assert {(await till.look(each)).state for each in away} == {"pending"}
    # refunds as well: each of them is asked for
    card._text = home
    asked: list[str] = []

    async def ask_again(_: object, __: object, pending: Refund, ___: int) -> None:
        asked.append(pending.id)

    monkeypatch.setattr(order, "ask_again", ask_again)
    refunds = [Refund(f"rfd_{n}", back.id, 1, "pending", till.now_ms + n // 2) for n in range(5)]
    async with till.db.writing() as transaction:
        for each in refunds:
            await store_order.save_refund(transaction, each)
    till.now_ms += PATIENCE_MS
    await work.look()
    assert asked == [each.id for each in refunds]


async def test_statements_are_looked_at_once(till: Till) -> None:
    work = job(till)
    await work.look()
    seen, _ = await statement.listing(till.db)
    assert len(seen) == 3 * statement.BACK_DAYS
    checked = {each.checked_at_ms for each in seen}
    till.now_ms += 3_600_000
    await work.look()
    assert {each.checked_at_ms for each in (await statement.listing(till.db))[0]} == checked


async def test_a_clock_that_was_ahead_for_a_minute_ends_no_questions(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def ask_again(db: Database, payments: Any, refund: Any, now_ms: int) -> None:
        asked.append(now_ms)

    async def missing(*_: object) -> list[str]:
        asked.append(0)
        return []

    made, _ = await till.credited()
    port = till.demo.port
    await till.demo.stop()
    with pytest.raises(RelayError):
        await till.refund(made, AMOUNT)
    await till.demo.start(port)
    monkeypatch.setattr(order, "ask_again", ask_again)
    monkeypatch.setattr(statement, "missing", missing)
    work = job(till)
    years_ms = 3650 * 86_400_000
    till.now_ms += years_ms
    await work.look()
    till.now_ms -= years_ms - 60_000
    asked.clear()
    await work.look()
    assert till.now_ms in asked and 0 in asked


async def test_it_goes_round_until_it_is_stopped(till: Till) -> None:
    made = await till.order()
    till.demo.book.pay(await till.trade(made))
    till.now_ms += PATIENCE_MS + 1
    work = job(till)
    running = asyncio.ensure_future(work.run())
    for _ in range(500):
        await asyncio.sleep(0.01)
        if (await till.look(made)).state == "credited":
            break
    await work.stop()
    await asyncio.wait_for(running, 60)
    assert (await till.look(made)).state == "credited"


async def test_a_store_that_fails(till: Till) -> None:
    said = io.StringIO()
    work = job(till, said)
    await till.db.close()
    await work.look()
    assert work.failures == 1
    assert '"payment_round_failed","code":"store_failed"' in said.getvalue()


async def test_what_a_statement_differs_in_is_told(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Difference("payment", "x", "not_booked", 5, None)] * 2

    async def missing(_: Database, partner: Partner, __: int) -> list[str]:
        return ["2026-09-20", "2026-09-21"] if partner.name == "card" else []

    async def check(_: Database, __: Partner, day: str, *rest: object) -> list[Difference]:
        return found if day == "2026-09-20" else []

    monkeypatch.setattr(statement, "missing", missing)
    monkeypatch.setattr(statement, "check", check)
    said = io.StringIO()
    await job(till, said).look()
    assert said.getvalue().count("statement_differs") == 1
    assert '"statement_differs","part":"stripe","count":2' in said.getvalue()


async def test_statements_are_asked_about_once_an_hour(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def missing(*_: object) -> list[str]:
        asked.append(till.now_ms)
        return []

    monkeypatch.setattr(statement, "missing", missing)
    work, began = job(till), till.now_ms
    for at_ms in (0, 30_000, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS):
        till.now_ms = began + at_ms
        await work.look()
    assert sorted({at - began for at in asked}) == [0, HOUR_MS, 2 * HOUR_MS]


async def test_a_refund_is_asked_for_ever_more_rarely(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def ask_again(*_: object) -> None:
        asked.append(till.now_ms)

    made, _ = await till.credited()
    await order.begin_refund(till.db, SHELL, RefundWish(made.id, 5, "unused"), till.now_ms)
    began = till.now_ms
    monkeypatch.setattr(order, "ask_again", ask_again)
    work = job(till)
    for at_ms in range(0, 1000, 10):
        till.now_ms = began + at_ms
        await work.look()
    # each when a third has been added to its age; not twice in one moment
    assert len(set(asked)) == len(asked) and 10 <= len(asked) <= 25
    assert all(4 * (later - last) >= later - began
               for last, later in zip(asked, asked[1:], strict=False))


async def test_a_partner_that_is_away_is_not_asked_for_refunds(till: Till) -> None:
    made, _ = await till.credited()
    await order.begin_refund(till.db, SHELL, RefundWish(made.id, 5, "unused"), till.now_ms)
    await till.order()
    await till.demo.stop()
    till.now_ms += PATIENCE_MS + 1
    work = job(till)
    await work.look()
    # its order; and the statements of the three
    assert work.failures == 1 + 3


async def test_messages_that_nobody_has_looked_at_are_counted(till: Till) -> None:
    made = await till.order()
    trade, _ = await till.paid(made)
    trade.told = trade.told._replace(order="ord_nobody")
    message = till.demo.tell(trade, "paid")
    assert (await till.hear("card", message)).is_alarm
    work = job(till)
    await work.look()
    assert work.alarms == 1
    [alarm] = await webhook.alarms(till.db)
    await webhook.see(till.db, SYSTEM, alarm.partner, alarm.event, till.now_ms)
    await work.look()
    assert work.alarms == 0


async def test_a_statement_that_cannot_be_read_holds_up_no_other_day(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, real = job(till), statement.check
    [first, *others] = await statement.missing(till.db, till.payments.partner("card"), till.now_ms)

    async def check(db: Database, partner: Partner, day: str, *rest: Any) -> object:
        if day == first:
            raise RelayError("partner_failed")
        return await real(db, partner, day, *rest)

    monkeypatch.setattr(statement, "check", check)
    for _ in range(2):
        await work.look()
        till.now_ms += 3_600_000
    seen, _ = await statement.listing(till.db)
    assert {each.day for each in seen if each.partner == "card"} == set(others)
    monkeypatch.setattr(statement, "check", real)
    await work.look()
    assert await statement.missing(till.db, till.payments.partner("card"), till.now_ms) == []


async def test_an_order_that_its_partner_knows_nothing_of_ends(till: Till) -> None:
    """Twenty of them would keep an account from making any other."""
    made = await till.order()
    till.demo.book.trades.clear()
    work = job(till)
    till.now_ms = made.expires_at_ms + 1
    await work.look()
    assert (await till.look(made)).state == "pending" and work.failures == 1
    till.now_ms += 86_400_000
    await work.look()
    assert (await till.look(made)).state == "expired" and work.failures == 1
