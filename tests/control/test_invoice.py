"""Invoices: issued, looked at with a trace, taken back once, and gone with their term."""

from __future__ import annotations

import pytest

from relayd.control import audit, erasure, invoice, usage, vault
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
from relayd.store.db import Database
from relayd.store.invoice import InvoiceFilter
from relayd.store.signing import open_signer
from tests.control.test_closing import people
from tests.fakes.records import call_record

PERIOD = month("2026-10")
NOW_MS = PERIOD.end_ms + 9
SELLER = Seller(Operator(name="Seller Ltd", address="1 Road"), Vat(600))
LINES = [Line("use", "gpt-4o-mini", 1_234_567_890, 3)]


async def code_of(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def issued(db: Database, who: str, seller: Seller = SELLER) -> Invoice:
    async with db.writing() as transaction:
        return await invoice.issue(
            transaction, seller, Draft(who, "use", "USD", PERIOD, LINES), NOW_MS)


async def test_whose_it_is_and_who_looked(db: Database) -> None:
    one, other = await people(db, 2)
    made = await issued(db, one)
    assert made.seller == {"name": "Seller Ltd", "address": "1 Road", "service": "relayd"}
    assert dict(made.buyer) == {"name": one}
    assert await invoice.own(db, one, made.number) == made
    assert await code_of(invoice.own(db, other, made.id)) == "invoice_not_found"
    assert await invoice.look(db, SHELL, made.id, NOW_MS) == made
    assert [entry.event.action async for entry in audit.listing(db, target=one)][-1:] == [
        "invoice.look"]
    view = invoice.view(made)
    assert view["number"] == made.number and view["total_minor"] == 123
    assert "buyer" not in invoice.view(made, lines=False)


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


async def test_a_statement_issues_nothing(db: Database) -> None:
    [one] = await people(db, 1)
    await usage.post(db, [call_record(account=one, started_at_ms=PERIOD.start_ms, amount_nano=5)])
    assert (await invoice.statement(db, one, PERIOD))["USD"][0].amount_nano == 5
    assert await invoice.statement(db, one, Period(0, 1)) == {}
    assert await invoice.listing(db, InvoiceFilter()) == []


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
    assert len(await vault.destroy_years(db, later)) == 1
    assert await code_of(invoice.look(db, SHELL, made.id, NOW_MS)) == "invoice_not_found"
