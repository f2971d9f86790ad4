"""Statements of partners that keep real books, against the ledger: both directions, once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relayd.control import statement, webhook
from relayd.control.order import RefundWish, begin_refund
from relayd.core.actor import SHELL, SYSTEM
from relayd.core.errors import RelayError
from relayd.core.partner import PartnerEvent
from relayd.core.posting import LedgerAccount
from relayd.core.statement import Difference, LineKind, StatementLine
from relayd.demo.partner_trade import Trade
from relayd.store import posting as store_posting
from relayd.wire.partner import PartnerReply, PartnerRequest
from relayd.wire.partner_stripe import Stripe
from tests.fakes.audited import audited
from tests.fakes.till import Till, till

__all__ = ["till"]
PARTNERS = ("card", "alipay", "wechat")
DAY_MS = 86_400_000


def day(till: Till, back: int = 0) -> str:
    """The partner's day that holds the clock: the clock stands at 14:13 UTC, a day in both."""
    moment = datetime.fromtimestamp(till.now_ms // 1000, UTC) - timedelta(days=back)
    return moment.date().isoformat()


async def checked(till: Till, partner: str, back: int = 0) -> list[Difference]:
    return await statement.check(
        till.db, till.payments.partner(partner), day(till, back), SYSTEM, till.now_ms)


async def fees(till: Till, partner: str) -> int:
    async with till.db.reading() as transaction:
        return await store_posting.balance(transaction, LedgerAccount("fees", partner, "CNY"))


@pytest.mark.parametrize("partner", PARTNERS)
async def test_what_is_the_same_differs_in_nothing(till: Till, partner: str) -> None:
    made, trade = await till.credited(partner)
    await till.refund(made, 45)
    till.demo.refund(trade, amount=300)
    await till.hear(partner, till.demo.delivery.messages[-1])
    if partner == "card":
        till.demo.dispute(trade)
        await till.hear(partner, till.demo.delivery.messages[-1])
    for _ in range(3):
        assert await checked(till, partner) == []
    # booked once, however often it is looked at
    assert await fees(till, partner) == -trade.fee * 10 ** 7
    seen, differing = await statement.listing(till.db)
    assert [(each.partner, each.day) for each in seen] == [(partner, day(till))]
    assert differing == [] and await till.wrong() == []
    acts = await audited(till.db, "statement.check")
    assert {(act.details["partner"], act.details["day"], act.details["differences"])
            for act in acts} == {(partner, day(till), 0)} and len(acts) == 3


@pytest.mark.parametrize("partner", PARTNERS)
async def test_what_only_the_partner_has(till: Till, partner: str) -> None:
    made = await till.order(partner)
    trade, message = await till.paid(made)
    assert await checked(till, partner) == [
        Difference("payment", made.id, "not_in_ledger", 12345, None)]
    assert len((await statement.listing(till.db))[1]) == 1
    # the message came at last
    await till.hear(partner, message)
    assert await checked(till, partner) == []
    assert (await statement.listing(till.db))[1] == []


@pytest.mark.parametrize("partner", PARTNERS)
async def test_what_only_the_ledger_has(till: Till, partner: str) -> None:
    made, trade = await till.credited(partner)
    trade.paid_ms = 0
    assert await checked(till, partner) == []
    # it may still be in the next day's statement
    till.now_ms += DAY_MS
    assert await checked(till, partner) == [
        Difference("payment", made.id, "not_in_statement", None, 12345)]


@pytest.mark.parametrize("partner", PARTNERS)
async def test_a_line_of_the_next_day_is_none_missing(till: Till, partner: str) -> None:
    _, trade = await till.credited(partner)
    trade.paid_ms += DAY_MS
    assert await checked(till, partner) == []
    till.now_ms += DAY_MS
    assert await checked(till, partner) == []


@pytest.mark.parametrize("partner", PARTNERS)
async def test_another_amount(till: Till, partner: str) -> None:
    made, trade = await till.credited(partner)
    trade.told = trade.told._replace(amount=12340)
    assert await checked(till, partner) == [
        Difference("payment", made.id, "other_amount", 12340, 12345)]


async def test_an_order_that_was_paid_twice(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """By two cards, with two fees: the day is looked at all the same, and says so."""
    made, trade = await till.credited()
    book = till.demo.book
    real = book.day

    def twice(*which: object) -> list[object]:
        lines = real(*which)  # type: ignore[arg-type]
        other = replace(lines[0].trade, told=trade.told._replace(amount=2 * 12345))
        return [*lines, lines[0]._replace(trade=other)]

    monkeypatch.setattr(book, "day", twice)
    wanted = [Difference("payment", made.id, "other_amount", 2 * 12345, 12345)]
    for _ in range(2):
        assert await checked(till, "card") == wanted
    fee = trade.fee + replace(trade, told=trade.told._replace(amount=2 * 12345)).fee
    assert await fees(till, "card") == -fee * 10 ** 7 and await till.wrong() == []


async def test_a_payout_of_more_than_one_transfer_holds(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*_: object) -> Generator[PartnerRequest, PartnerReply, list[StatementLine]]:
        yield from ()
        return [StatementLine("payout", "txn_1", "JPY", 20_000_000, 5),
                StatementLine("fee", "txn_2", "JPY", 19_000_000)]

    monkeypatch.setattr(Stripe, "statement", said)
    for _ in range(2):
        assert await checked(till, "card") == []
    async with till.db.reading() as transaction:
        has = {party.kind: nano for party, nano in (
            await store_posting.balances(transaction)).items() if party.currency == "JPY"}
    assert has == {"bank": -20_000_000 * 10 ** 9, "fees": -19_000_005 * 10 ** 9,
                   "clearing": 39_000_005 * 10 ** 9}
    assert await till.wrong() == []


def says(monkeypatch: pytest.MonkeyPatch, *lines: StatementLine) -> None:
    def said(*_: object) -> Generator[PartnerRequest, PartnerReply, list[StatementLine]]:
        yield from ()
        return list(lines)

    monkeypatch.setattr(Stripe, "statement", said)


async def has(till: Till) -> dict[str, int]:
    async with till.db.reading() as transaction:
        return {party.kind: nano // 10 ** 7 for party, nano in (
            await store_posting.balances(transaction)).items() if party.currency == "CNY"}


async def test_a_payout_that_came_back(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, StatementLine("payout", "txn_1", "CNY", 900),
         StatementLine("pay_in", "txn_2", "CNY", 900),
         StatementLine("fee", "txn_3", "CNY", 0, -5), StatementLine("held", "txn_4", "CNY", 77))
    for _ in range(2):
        assert await checked(till, "card") == []
    assert await has(till) == {"bank": 0, "fees": 5, "clearing": -5}
    assert await till.wrong() == []


async def test_what_nobody_can_book_stays_told_and_only_its_fee_is_booked(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, StatementLine("other", "adjustment:txn_1", "CNY", 900, 5),
         StatementLine("payout", "txn_2", "XAU", 900))
    wanted = [Difference("other", "adjustment:txn_1", "not_booked", 900, None),
              Difference("payout", "txn_2", "not_booked", 900, None)]
    for _ in range(2):
        assert await checked(till, "card") == wanted
        assert [each for _, _, each in (await statement.listing(till.db))[1]] == wanted
    assert await has(till) == {"fees": -5, "clearing": 5}


async def test_a_refund_that_left_the_partner_and_came_back(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = await till.credited()
    await till.refund(made, 45)
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE refunds SET state = 'failed'")
        [[name]] = await transaction.rows("SELECT id FROM refunds")
    paid = StatementLine("payment", made.id, "CNY", 12345)
    left, back = (StatementLine(kind, name, "CNY", 45) for kind in ("refund", "refund_back"))
    says(monkeypatch, paid, left)
    assert await checked(till, "card") == [Difference("refund", name, "not_in_ledger", 45, None)]
    till.now_ms += DAY_MS
    says(monkeypatch, back)
    assert await checked(till, "card") == []
    assert (await statement.listing(till.db))[1] == []
    # and not where the ledger has it as gone
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE refunds SET state = 'done'")
    assert await checked(till, "card") == [
        Difference("refund_back", name, "not_in_ledger", 45, None)]


async def test_a_refund_that_is_under_way_has_left_the_partner(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe's line is of the day on which it is asked for; that it arrived is said days later."""
    made, _ = await till.credited()
    asked = await begin_refund(till.db, SHELL, RefundWish(made.id, 45, "as asked"), till.now_ms)
    paid = StatementLine("payment", made.id, "CNY", 12345)
    left, back = (StatementLine(kind, asked.id, "CNY", 45) for kind in ("refund", "refund_back"))
    says(monkeypatch, paid, left)
    assert await checked(till, "card") == []
    await webhook.apply(till.db, till.payments, PartnerEvent(
        "card", "", "refund_failed", made.id, reference=asked.id), till.now_ms)
    till.now_ms += DAY_MS
    says(monkeypatch)
    assert await checked(till, "card") == [
        Difference("refund_back", asked.id, "not_in_statement", None, 45)]
    says(monkeypatch, back)
    assert await checked(till, "card") == []
    assert (await statement.listing(till.db))[1] == []


@pytest.mark.parametrize("kind", ["payment", "refund"])
async def test_what_two_days_have_differs(
    till: Till, monkeypatch: pytest.MonkeyPatch, kind: LineKind
) -> None:
    made, _ = await till.credited()
    refund = await till.refund(made, 45)
    lines = [StatementLine("payment", made.id, "CNY", 12345),
             StatementLine("refund", refund.id, "CNY", 45)]
    says(monkeypatch, *lines)
    assert await checked(till, "card") == []
    till.now_ms += DAY_MS
    [again] = [line for line in lines if line.kind == kind]
    says(monkeypatch, again)
    for _ in range(2):
        assert await checked(till, "card") == [Difference(
            kind, again.reference, "other_amount", 2 * again.amount_minor, again.amount_minor)]


async def test_a_fee_that_is_another_one_later(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, trade = await till.credited()
    assert await checked(till, "card") == []
    fee = trade.fee
    monkeypatch.setattr(Trade, "fee", fee + 5)
    assert await checked(till, "card") == [
        Difference("payment", made.id, "other_amount", fee + 5, fee)]
    assert await fees(till, "card") == -fee * 10 ** 7 and await till.wrong() == []


async def test_an_order_whose_payment_s_name_was_emptied_is_booked(till: Till) -> None:
    """As the end of its term or of its account does."""
    await till.credited()
    async with till.db.writing() as transaction:
        await transaction.run("UPDATE orders SET trade = NULL")
    assert await checked(till, "card") == []


async def test_the_first_day_misses_nothing_of_the_time_before(till: Till) -> None:
    _, trade = await till.credited()
    trade.paid_ms = 0
    till.now_ms += DAY_MS
    assert await checked(till, "card") == []


@pytest.mark.parametrize("partner", PARTNERS)
async def test_days_that_were_missed(till: Till, partner: str) -> None:
    there = till.payments.partner(partner)
    # 14:13 UTC is past ten in the morning of the day after, for all of them
    assert await statement.missing(till.db, there, till.now_ms) == [
        day(till, back) for back in range(7, 0, -1)]
    await checked(till, partner, 1)
    await checked(till, partner, 3)
    assert await statement.missing(till.db, there, till.now_ms) == [
        day(till, back) for back in (7, 6, 5, 4, 2)]
    # ten hours after a day's end, by the partner's own clock
    ready_ms = there.adapter.day_start_ms(day(till, -1)) + statement.READY_MS
    for now_ms, is_there in ((ready_ms - 1, False), (ready_ms, True)):
        assert (day(till) in await statement.missing(till.db, there, now_ms)) is is_there


async def test_a_partner_that_is_away(till: Till) -> None:
    await till.demo.stop()
    with pytest.raises(RelayError) as caught:
        await checked(till, "card")
    assert caught.value.code == "partner_failed"
    assert (await statement.listing(till.db))[0] == []
