"""Invoices: issued, looked at with a trace, taken back once, and gone with their term."""

from __future__ import annotations

from collections.abc import Awaitable

import orjson
import pytest

from relayd.control import account, audit, erasure, invoice, mail, usage, vault
from relayd.control.erasure import Means
from relayd.control.invoice import Draft, Seller
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.invoice import Invoice, Line, Period, month
from relayd.core.operator import Operator
from relayd.core.posting import move
from relayd.core.retention import Terms
from relayd.core.vat import Vat
from relayd.store import posting as store_posting
from relayd.store.closing import Payment
from relayd.store.db import Database
from relayd.store.invoice import InvoiceFilter
from relayd.store.signing import open_signer
from tests.control.test_closing import people
from tests.fakes.records import call_record
from tests.fakes.till import Till, till

__all__ = ["till"]

PERIOD = month("2026-10")
NOW_MS = PERIOD.end_ms + 9
SELLER = Seller(Operator(name="Seller Ltd", address="1 Road"), Vat(600))
LINES = [Line("use", "gpt-4o-mini", 1_234_567_890, 3)]


async def code_of(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def issued(
    db: Database, who: str, seller: Seller = SELLER, now_ms: int = NOW_MS
) -> Invoice:
    async with db.writing() as transaction:
        return await invoice.issue(
            transaction, seller, Draft(who, "use", "USD", PERIOD, LINES), now_ms)


async def test_whose_it_is_and_who_looked(db: Database) -> None:
    one, other = await people(db, 2)
    made = await issued(db, one)
    assert made.seller == {"name": "Seller Ltd", "address": "1 Road", "service": "relayd"}
    assert dict(made.buyer) == {"name": one} and made.state == "paid"  # nothing is owed
    assert await invoice.own(db, one, made.number) == made
    assert await code_of(invoice.own(db, other, made.id)) == "invoice_not_found"
    assert await invoice.look(db, SHELL, made.id, NOW_MS) == made
    assert [entry.event.action async for entry in audit.listing(db, target=one)][-1:] == [
        "invoice.look"]
    view = invoice.view(made)
    assert view["number"] == made.number and view["total_minor"] == 123
    assert "buyer" not in invoice.view(made, lines=False)
    assert (view["seller"], view["buyer"]) == (dict(made.seller), {"name": one})
    assert view["lines"] == [line._asdict() for line in LINES]


async def test_taken_back_once(db: Database) -> None:
    [one] = await people(db, 1)
    made = await issued(db, one)
    assert await code_of(invoice.void(
        db, SHELL, made.id, " ", Terms(), NOW_MS)) == "reason_missing"
    counter = await invoice.void(db, SHELL, made.id, "another buyer", Terms(), NOW_MS)
    assert (counter.sequence, counter.taxed.total, counter.reverses) == (2, -123, made.id)
    assert (await invoice.own(db, one, made.id)).state == "void"
    for again in (made.id, counter.id):
        assert await code_of(invoice.void(
            db, SHELL, again, "x", Terms(), NOW_MS)) == "invoice_state"
    assert await invoice.gaps(db) == []


async def test_what_a_balance_does_not_cover_is_open(db: Database) -> None:
    [one] = await people(db, 1)
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "subscription", "s", 10 ** 9, "USD", account=one), NOW_MS)
    made = await issued(db, one)
    assert made.state == "open"
    assert (await invoice.settle(db, SHELL, made.id, NOW_MS, paid=False)).state == "uncollectible"
    assert (await invoice.settle(db, SHELL, made.id, NOW_MS)).state == "paid"
    assert await code_of(invoice.settle(db, SHELL, made.id, NOW_MS)) == "invoice_state"
    assert [orjson.loads(entry.event.details) async for entry in audit.listing(db, target=one)
            if entry.event.action == "invoice.settle"] == [
        {"invoice": made.id, "state": state} for state in ("uncollectible", "paid")]


async def test_a_receipt_is_for_who_paid_the_order(till: Till) -> None:
    """Also before and after it is issued."""
    open_one, (paid, _) = await till.order(), await till.credited()
    other = (await account.create(till.db, "other@example.org", None, till.now_ms)).id

    def receipt(order: str, who: str = till.holder) -> Awaitable[Invoice]:
        return invoice.receipt_of(till.db, SELLER, who, order, till.now_ms)

    assert await code_of(receipt("ord_nobody")) == "order_not_found"
    for order, code in ((open_one.id, "order_state"), (paid.id, None), (paid.id, None)):
        assert await code_of(receipt(order, other)) == "order_not_found"
        if code is None:
            assert (await receipt(order)).account == till.holder
        else:
            assert await code_of(receipt(order)) == code
    assert await invoice.listing(till.db, InvoiceFilter(other)) == []
    [made] = await invoice.listing(till.db, InvoiceFilter(till.holder))
    assert (made.series, made.taxed.total, made.taxed.tax) == ("REC", 12345, 0)


async def test_a_receipt_is_paid_whatever_is_owed(db: Database) -> None:
    [one] = await people(db, 1)
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "subscription", "s", 10 ** 9, "USD", account=one), NOW_MS)
        made = await invoice.receipt(
            transaction, SELLER, Payment("order:o", one, "USD", 5, NOW_MS), NOW_MS)
        back = await invoice.receipt(
            transaction, SELLER, Payment("refund:r", one, "USD", -3, NOW_MS), NOW_MS)
    assert (made.state, made.number[:3]) == (back.state, back.number[:3]) == ("paid", "REC")
    assert made.lines == (Line("top_up", "o", 50_000_000),)
    assert back.lines == (Line("refund", "r", -30_000_000),)


@pytest.mark.parametrize("state, origin, told", [
    ("active", "https://c.example", True), ("suspended", "https://c.example", True),
    ("closing", "https://c.example", False), ("terminated", "https://c.example", False),
    ("active", "", False)])
async def test_who_is_written_to(db: Database, state: str, origin: str, told: bool) -> None:
    [one] = await people(db, 1)
    async with db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = ?", (state,))
        await invoice.tell(transaction, Seller(SELLER.operator, origin=origin), one,
                           "invoice_ready", {"invoice": "INV-1", "link": "https://c"}, NOW_MS)
    assert [each.kind for each in await mail.listing(db, account_id=one)] == (
        ["invoice_ready"] if told else [])


async def test_the_newest_are_listed(db: Database) -> None:
    [one] = await people(db, 1)
    made = [await issued(db, one, now_ms=NOW_MS + number) for number in range(3)]
    for most in (1, 2, 3, 600):
        assert [each.number for each in await invoice.listing(db, InvoiceFilter(one), most)] == [
            each.number for each in made[::-1][:most]]


async def test_a_statement_issues_nothing(db: Database) -> None:
    [one] = await people(db, 1)
    await usage.post(db, [call_record(account=one, started_at_ms=PERIOD.start_ms, amount_nano=5)])
    assert (await invoice.statement(db, one, PERIOD))["USD"][0].amount_nano == 5
    assert await invoice.statement(db, one, Period(0, 1)) == {}
    assert await invoice.listing(db, InvoiceFilter()) == []


async def test_calls_that_cost_nothing_make_no_currency_of_their_own(db: Database) -> None:
    [one] = await people(db, 1)
    failed = call_record(account=one, started_at_ms=PERIOD.start_ms, amount_nano=0, currency="USD")
    await usage.post(db, [failed])
    assert list(await invoice.statement(db, one, PERIOD)) == ["USD"]
    await usage.post(db, [call_record(
        account=one, started_at_ms=PERIOD.start_ms + 1, amount_nano=5, currency="CNY")])
    assert list(await invoice.statement(db, one, PERIOD)) == ["CNY"]


async def test_E3_what_was_issued_outlives_its_account_and_ends_with_its_year(
    db: Database
) -> None:
    [one] = await people(db, 1)
    made = await issued(db, one, Seller(SELLER.operator, SELLER.vat, Terms({"invoices": 4000})))
    signer = open_signer(db.directory)
    await erasure.at_once(db, Means(signer, Terms()), SHELL, one, NOW_MS)
    kept = await invoice.look(db, SHELL, made.id, NOW_MS)
    assert kept.buyer == made.buyer and kept.lines == made.lines
    later = made.until_ms + 400 * 86_400_000
    assert await vault.destroy_years(db, later) == []
    assert await invoice.sweep_batch(db, made.until_ms - 1, 9) == 0
    assert await invoice.sweep_batch(db, made.until_ms, 9) == 1
    # the sweep that found something alone is an event
    assert [orjson.loads(entry.event.details)["rows"] async for entry in audit.listing(db)
            if entry.event.action == "retention.sweep"] == [1]
    assert len(await vault.destroy_years(db, later)) == 1
    assert await code_of(invoice.look(db, SHELL, made.id, NOW_MS)) == "invoice_not_found"
