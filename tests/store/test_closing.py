"""What a month came to, from the sums of its hours and the ledger."""

from __future__ import annotations

from relayd.control import usage
from relayd.core.account import Account
from relayd.core.invoice import ClosedMonth, Line, Period
from relayd.core.order import Order
from relayd.core.posting import charge, move
from relayd.core.refund import Refund
from relayd.store import account, closing, order, posting
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record

PERIOD = Period(START_MS, START_MS + 744 * 3_600_000)


async def people(db: Database) -> None:
    async with db.writing() as transaction:
        for name in ("acct_1", "acct_2", "acct_3"):
            await account.insert(transaction, Account(name, f"{name}@x.org", None, "active", 0))


async def test_use_fees_and_credit_of_the_period_alone(db: Database) -> None:
    await people(db)
    await usage.post(db, [
        call_record(account="acct_1", amount_nano=5), call_record(
            account="acct_1", amount_nano=7, started_at_ms=START_MS + 3_600_000),
        call_record(account="acct_1", model=None, amount_nano=1),
        call_record(account="acct_1", started_at_ms=PERIOD.end_ms, amount_nano=100),
        call_record(account="acct_2", currency="EUR", amount_nano=3)])
    async with db.writing() as transaction:
        for number, at_ms in enumerate((START_MS - 1, START_MS, PERIOD.end_ms)):
            for transfer in (
                    move("grant", f"g{number}", 10, "USD", account="acct_1"),
                    move("top_up", f"o{number}", 10, "USD", account="acct_1", partner="p"),
                    move("subscription", f"s{number}", 4, "USD", account="acct_1"),
                    move("proration", f"b{number}", 2, "USD", account="acct_1"),
                    charge(f"c{number}", 5, "USD", "acct_1", 3)):
                await posting.post(transaction, transfer, at_ms)
        assert await closing.accounts(transaction, PERIOD, "", 9) == ["acct_1", "acct_2"]
        assert await closing.accounts(transaction, PERIOD, "acct_1", 9) == ["acct_2"]
        found = await closing.lines(transaction, "acct_1", PERIOD)
        assert await closing.lines(transaction, "acct_2", PERIOD) == {
            "EUR": [Line("use", "gpt-4o-mini", 3, 1, 100, 20)]}
    assert [(line.kind, line.amount_nano, line.calls, line.input_tokens, line.output_tokens)
            for line in found["USD"]] == [
        ("use", 1, 1, 100, 20), ("use", 12, 2, 200, 40), ("fee", 4, 0, 0, 0),
        ("proration", -2, 0, 0, 0), ("credit", -3, 0, 0, 0)]


async def test_what_a_month_has_got_is_added_up(db: Database) -> None:
    async with db.writing() as transaction:
        for now_ms in (7, 8):
            await closing.begin(transaction, PERIOD.start_ms, now_ms)
            await closing.count(transaction, PERIOD.start_ms, invoices=2, receipts=1)
        await closing.begin(transaction, PERIOD.end_ms, 9)
        assert await closing.end(transaction, PERIOD.start_ms, 10)
        assert not await closing.end(transaction, PERIOD.start_ms, 11)
        first = ClosedMonth(PERIOD.start_ms, 10, 4, 2)
        assert await closing.month(transaction, PERIOD.start_ms) == first
        assert await closing.months(transaction, 9) == [
            ClosedMonth(PERIOD.end_ms, None, 0, 0), first]
        assert len(await closing.months(transaction, 1)) == 1


async def test_payments_without_a_receipt(db: Database) -> None:
    await people(db)
    async with db.writing() as transaction:
        for name, state, paid in (("a", "credited", START_MS), ("b", "pending", None),
                                  ("c", "credited", PERIOD.end_ms)):
            await order.insert(transaction, Order(
                name, "acct_1", "card", "CNY", 500, state,  # type: ignore[arg-type]
                START_MS, START_MS + 1, paid_at_ms=paid), None, None)
        [found] = await closing.payments(transaction, PERIOD, closing.START, 9)
        assert found == ("order:a", "acct_1", "CNY", 500, START_MS)
        behind = closing.Place(found.at_ms, found.cause)
        assert await closing.payments(transaction, PERIOD, behind, 9) == []
        assert await closing.payments(transaction, PERIOD, behind._replace(cause=""), 9) == [found]
        assert await closing.payment(transaction, "a") == found
        assert await closing.payment(transaction, "b") is None


async def test_payments_come_in_their_order_however_few_at_once(db: Database) -> None:
    await people(db)
    async with db.writing() as transaction:
        for name, paid in (("a", START_MS), ("b", START_MS + 1), ("c", START_MS + 1)):
            await order.insert(transaction, Order(
                name, "acct_1", "card", "CNY", 500, "credited", START_MS, START_MS + 1,
                paid_at_ms=paid), None, None)
        for name, ended in (("r1", START_MS), ("r2", START_MS + 1), ("r3", None)):
            await order.save_refund(transaction, Refund(
                name, "a", 100, "done" if ended else "pending", START_MS, ended))
        wanted = ["order:a", "refund:r1", "order:b", "order:c", "refund:r2"]
        for most in (1, 2, 9):
            found: list[str] = []
            place = closing.START
            while part := await closing.payments(transaction, PERIOD, place, most):
                found += [each.cause for each in part]
                place = closing.Place(part[-1].at_ms, part[-1].cause)
            assert found == wanted, most
