"""Closing a month: what is issued is what the records have, once, whatever happens in between."""

from __future__ import annotations

import random

import orjson
import pytest

from relayd.control import (
    account, audit, closing, enterprise, grant, invoice, mail, posting, usage, wallet,
)
from relayd.control.grant import Credit
from relayd.control.invoice import Seller
from relayd.core.actor import SHELL
from relayd.core.enterprise import Enterprise
from relayd.core.errors import RelayError
from relayd.core.invoice import ClosedMonth, month, month_text
from relayd.core.operator import Operator
from relayd.core.posting import charge, move
from relayd.core.timestamp import HOUR_MS
from relayd.core.vat import Vat
from relayd.store import invoice as store_invoice
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.store.invoice import InvoiceFilter
from relayd.store.record import CallFilter
from tests.fakes.records import call_record as record
from tests.fakes.till import Till, till

__all__ = ["till"]
MONTH = "2026-10"
PERIOD = month(MONTH)
YEAR_MS = 31_536_000_000
NOW_MS = PERIOD.end_ms + 3 * 3_600_000
SELLER = Seller(Operator(name="Example Ltd", uscc="91440300MA5EXAMPLE"), Vat(600, True),
                origin="https://console.test")


async def people(db: Database, count: int) -> list[str]:
    return [(await account.create(db, f"p{number}@example.org", None, PERIOD.start_ms)).id
            for number in range(count)]


async def calls(db: Database, accounts: list[str], count: int, seed: int = 1) -> None:
    dice = random.Random(seed)
    await usage.post(db, [record(
        id=f"req_{seed}_{number:06d}", account=dice.choice(accounts), currency="USD",
        model=dice.choice(["small", "large", None]),
        started_at_ms=dice.randrange(PERIOD.start_ms, PERIOD.end_ms),
        amount_nano=dice.randrange(0, 10 ** 7)) for number in range(count)])


async def whole(db: Database, account_id: str | None = None) -> int:
    wanted = CallFilter(account_id, PERIOD.start_ms, PERIOD.end_ms)
    return sum(total.sums.amount_nano for total in await usage.totals(db, wanted))


async def said(db: Database) -> int:
    async with db.reading() as transaction:
        row = await transaction.row(
            "SELECT SUM(l.amount_nano) FROM invoice_lines AS l JOIN invoices AS i"
            " ON i.id = l.invoice_id WHERE l.kind = 'use' AND i.period_start_ms = ?",
            (PERIOD.start_ms,))
    return int((row and row[0]) or 0)


async def test_totals_are_the_records(db: Database) -> None:
    accounts = await people(db, 60)
    await calls(db, accounts, 3000)
    closed = await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    assert closed.invoices == closed.accounts == 60
    assert await said(db) == await whole(db) > 0
    for one in accounts[:5]:
        [made] = await invoice.listing(db, InvoiceFilter(one))
        made = await invoice.own(db, one, made.id)
        assert made.amount_nano == sum(line.amount_nano for line in made.lines)
        assert made.amount_nano == await whole(db, one)
        assert abs(made.taxed.total * 10 ** 7 - made.amount_nano) <= 5 * 10 ** 6
        assert made.taxed.net + made.taxed.tax == made.taxed.total and made.vat.rate == 600
    assert len(await mail.listing(db, account_id=accounts[0])) == 1
    again = await closing.close(db, SHELL, SELLER, MONTH, NOW_MS + 1)
    assert (again.invoices, again.receipts) == (0, 0)
    assert await invoice.gaps(db) == []


async def test_a_run_that_broke_off_is_taken_up(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = await people(db, 23)
    await calls(db, accounts, 500)
    monkeypatch.setattr(closing, "AT_ONCE", 4)
    real, left = store_invoice.insert, 10

    async def failing(*arguments):  # type: ignore[no-untyped-def]
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError
        return await real(*arguments)

    monkeypatch.setattr(store_invoice, "insert", failing)
    with pytest.raises(RuntimeError):
        await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    # the batch in which it failed is gone as a whole
    assert len(await invoice.listing(db, InvoiceFilter())) == 8
    monkeypatch.setattr(store_invoice, "insert", real)
    assert (await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)).invoices == 15
    found = await invoice.listing(db, InvoiceFilter())
    assert sorted(each.sequence for each in found) == list(range(1, 24))
    assert len({each.account for each in found}) == 23
    assert await said(db) == await whole(db)


async def test_what_came_late_gets_an_invoice_of_its_own(db: Database) -> None:
    accounts = await people(db, 3)
    await calls(db, accounts, 30)
    await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    await calls(db, accounts[:1], 5, seed=2)
    assert (await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)).invoices == 1
    assert await said(db) == await whole(db)


async def test_the_receipt_of_a_refund_that_came_back_is_taken_back(till: Till) -> None:
    made, trade = await till.credited()
    till.now_ms += 1
    await till.refund(made, 300)
    await till.refund(await till.look(made), 45)
    when = month(month_text(till.now_ms))
    text, later = month_text(when.start_ms), when.end_ms + 3 * 3_600_000
    assert (await closing.close(till.db, SHELL, SELLER, text, later)).receipts == 3
    [back, _] = trade.refunds
    back.bounced = True
    assert (await till.hear("card", till.demo.tell(trade, "refunded", back))).outcome == "bounced"
    for _ in range(2):
        assert (await closing.close(till.db, SHELL, SELLER, text, later)).receipts == 0
    receipts = await invoice.listing(till.db, InvoiceFilter(till.holder))
    assert sorted((each.kind, each.state, each.taxed.total) for each in receipts) == [
        ("counter", "paid", 300), ("receipt", "paid", -45), ("receipt", "paid", 12345),
        ("receipt", "void", -300)]
    assert await till.balance() == sum(
        each.amount_nano for each in receipts) and await invoice.gaps(till.db) == []


async def test_use_and_the_credit_that_paid_it_are_on_one_invoice(db: Database) -> None:
    """However late calls of before midnight come, and among which ones of after it."""
    [one] = await people(db, 1)
    await grant.give_to(db, one, Credit(100, "USD", PERIOD.end_ms), "x", PERIOD.start_ms, SHELL)

    async def call(after_ms: int, nano: int) -> None:
        await usage.post(db, [record(
            id=f"req_{nano}", account=one, currency="USD", amount_nano=nano, model="small",
            started_at_ms=PERIOD.end_ms + after_ms)])

    async def charged(after_ms: int) -> None:
        while await wallet.charge_all(db, PERIOD.end_ms + after_ms):
            pass

    await call(-HOUR_MS, 1)
    await charged(-HOUR_MS)
    await call(-1, 2)
    await call(3000, 4)
    await charged(5000)
    await call(-5, 8)
    await call(6000, 16)
    await charged(HOUR_MS)
    await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    await call(-6, 32)
    await charged(30 * HOUR_MS)
    await closing.close(db, SHELL, SELLER, MONTH, PERIOD.end_ms + 31 * HOUR_MS)
    await closing.close(db, SHELL, SELLER, "2026-11", PERIOD.end_ms + 32 * 24 * HOUR_MS)
    assert [[line.amount_nano for line in (await invoice.own(db, one, made.id)).lines]
            for made in await invoice.listing(db, InvoiceFilter(one))] == [
                [20, -20], [32, -32], [11, -11]]
    assert await posting.verify(db) == []


async def test_a_void_invoice_is_missing_again(db: Database) -> None:
    [one] = await people(db, 1)
    await calls(db, [one], 30)
    await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    [first] = await invoice.listing(db, InvoiceFilter())
    counter = await invoice.void(db, SHELL, first.id, "another buyer", SELLER.terms, NOW_MS)
    assert counter.number == "INV-2026-000002" and counter.amount_nano == -first.amount_nano
    assert await said(db) == 0
    assert (await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)).invoices == 1
    assert await said(db) == await whole(db)


async def test_fees_prorations_and_credit(db: Database) -> None:
    [one] = await people(db, 1)
    at_ms = PERIOD.start_ms + 5
    async with db.writing() as transaction:
        for transfer in (
                move("top_up", "order:x:credited", 50 * 10 ** 9, "USD", account=one,
                     partner="card"),
                move("grant", "grant:g", 10 ** 9, "USD", account=one),
                move("subscription", "s:1", 20 * 10 ** 9, "USD", account=one),
                move("proration", "s:1:back", 5 * 10 ** 9, "USD", account=one),
                charge("use:1", 3 * 10 ** 9, "USD", one, 10 ** 9)):
            await store_posting.post(transaction, transfer, at_ms)
    await usage.post(db, [record(
        id="req_1", account=one, currency="USD", model="large", started_at_ms=at_ms,
        amount_nano=3 * 10 ** 9)])
    await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    [made] = await invoice.listing(db, InvoiceFilter(one))
    made = await invoice.own(db, one, made.id)
    assert {line.kind: line.amount_nano // 10 ** 9 for line in made.lines} == {
        "use": 3, "fee": 20, "proration": -5, "credit": -1}
    # what was invoiced is what the month took from the balance
    assert made.amount_nano == (50 - 33) * 10 ** 9
    assert made.taxed.total == 1700 and made.state == "paid"


async def test_use_that_was_not_charged_yet_is_owed(db: Database) -> None:
    """The ledger is charged once an hour, by a daemon that may have been down."""
    one, two = await people(db, 2)
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", "order:x:credited", 5, "USD", account=one, partner="card"), NOW_MS)
    await usage.post(db, [record(
        id=f"req_{who}", account=who, currency="USD", started_at_ms=PERIOD.end_ms - 1,
        amount_nano=5) for who in (one, two)])
    await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)
    assert {each.account: each.state for each in await invoice.listing(
        db, InvoiceFilter())} == {one: "paid", two: "open"}


async def test_U3_receipts(till: Till) -> None:
    made, _ = await till.credited(amount=12345)
    text = closing.month_text(till.now_ms)
    later = month(text).end_ms + 2 * 3_600_000
    closed = await closing.close(till.db, SHELL, SELLER, text, later)
    assert closed.receipts == 1
    [found] = await invoice.listing(till.db, InvoiceFilter(till.holder, "receipt"))
    assert (found.number[:4], found.taxed.total, found.taxed.tax) == ("REC-", 12345, 0)
    again = await invoice.receipt_of(till.db, SELLER, till.holder, made.id, later)
    assert again.id == found.id
    assert (await closing.close(till.db, SHELL, SELLER, text, later)).receipts == 0
    assert await closing.months(till.db) == [ClosedMonth(month(text).start_ms, later, 0, 1)]
    # the second run issued nothing, and is no event
    assert [orjson.loads(entry.event.details) async for entry in audit.listing(till.db)
            if entry.event.action == "month.close"] == [
        {"month": text, "invoices": 0, "receipts": 1}]


async def test_what_comes_late_to_a_closed_month_is_an_event(till: Till) -> None:
    text = month_text(till.now_ms)
    later = month(text).end_ms + 2 * 3_600_000
    for _ in range(2):  # the first closing is one, with nothing in it too
        await closing.close(till.db, SHELL, SELLER, text, later)
    await till.credited(amount=12345)
    await closing.close(till.db, SHELL, SELLER, text, later)
    await usage.post(till.db, [record(id="req_late", account=till.holder, currency="USD",
                                      started_at_ms=till.now_ms, amount_nano=5)])
    await closing.close(till.db, SHELL, SELLER, text, later)
    assert [orjson.loads(entry.event.details) async for entry in audit.listing(till.db)
            if entry.event.action == "month.close"] == [
        {"month": text, "invoices": invoices, "receipts": receipts}
        for invoices, receipts in ((0, 0), (0, 1), (1, 1))]


async def test_more_payments_than_one_transaction_takes(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "AT_ONCE", 2)
    for number in range(5):
        till.now_ms += number % 2  # two at one moment, and one alone
        await till.credited(amount=1000 + number)
    text = month_text(till.now_ms)
    later = month(text).end_ms + 2 * 3_600_000
    assert (await closing.close(till.db, SHELL, SELLER, text, later)).receipts == 5
    assert sorted(each.taxed.total for each in await invoice.listing(
        till.db, InvoiceFilter(till.holder))) == [1000, 1001, 1002, 1003, 1004]


async def test_months_are_listed_newest_first_and_so_many(db: Database) -> None:
    for number in range(1, 4):
        await closing.close(db, SHELL, SELLER, f"2026-0{number}", NOW_MS)
    for most in (1, 2, 3, 500):
        assert [month_text(each.start_ms) for each in await closing.months(db, most)] == [
            "2026-03", "2026-02", "2026-01"][:most]


async def test_a_receipt_that_was_made_void_is_issued_anew(till: Till) -> None:
    """As an invoice is: for another buyer, say."""
    made, _ = await till.credited(amount=12345)
    text = closing.month_text(till.now_ms)
    later = month(text).end_ms + 2 * 3_600_000
    ids = set()
    for number in range(3):
        again = await invoice.receipt_of(till.db, SELLER, till.holder, made.id, later)
        assert (again.state, again.taxed.total, again.lines[0].reference) == (
            "paid", 12345, made.id)
        assert (await closing.close(till.db, SHELL, SELLER, text, later)).receipts == 0
        ids.add(again.id)
        await invoice.void(till.db, SHELL, again.id, "another buyer", SELLER.terms, later)
        if number == 1:
            assert (await closing.close(till.db, SHELL, SELLER, text, later)).receipts == 1
    assert len(ids) == 3
    found = await invoice.listing(till.db, InvoiceFilter(till.holder))
    assert sum(each.taxed.total for each in found) == 0
    assert await invoice.gaps(till.db) == []


async def test_a_month_must_be_over(db: Database) -> None:
    for text, now_ms, code in (
            (MONTH, PERIOD.end_ms, "month_open"), ("2026-13", 0, "invalid_time"),
            (MONTH, PERIOD.end_ms + 3_599_999, "month_open"), ("x", 0, "invalid_time"),
            # what was issued for it may be gone
            (MONTH, PERIOD.end_ms + SELLER.terms.ms("invoices"), "invalid_time"),
            (MONTH, PERIOD.end_ms + 40 * YEAR_MS, "invalid_time")):
        with pytest.raises(RelayError) as caught:
            await closing.close(db, SHELL, SELLER, text, now_ms)
        assert caught.value.code == code


@pytest.mark.parametrize("company", [False, True])
async def test_who_can_be_read_no_more_keeps_no_other_from_an_invoice(
    db: Database, company: bool
) -> None:
    gone, other = await people(db, 2)
    if company:
        await enterprise.mark(db, SHELL, gone, NOW_MS)
        await enterprise.change(db, SHELL, gone, Enterprise(
            "买方（北京）科技有限公司", "9144030071526726XG"), NOW_MS)
    for who in (gone, other):
        await usage.post(db, [record(id=f"req_{who}", account=who, currency="USD",
                                     started_at_ms=PERIOD.start_ms, amount_nano=10 ** 7)])
    await db.keyring.destroy(gone)
    assert (await closing.close(db, SHELL, SELLER, MONTH, NOW_MS)).invoices == 2
    for who in (gone, other):
        [made] = await invoice.listing(db, InvoiceFilter(who))
        assert (await invoice.own(db, who, made.id)).buyer["name"] == who
    assert [each.account_id for each in await mail.listing(db)] == [other]
