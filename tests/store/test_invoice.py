"""Invoices as rows: no gap, no double, nothing that changes, nobody's name in the clear."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.invoice import Invoice, Line, Period, summed
from relayd.core.vat import Vat
from relayd.store import account, invoice
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.invoice import InvoiceFilter

NOW_MS = 1_793_500_000_000
YEAR_MS = 31_536_000_000
LINES = (Line("use", "gpt-4o-mini", 1_234_567_890, 5, 6, 7), Line("credit", "", -1))


def made(number: int, at_ms: int = NOW_MS, **changes: object) -> Invoice:
    amount_nano, parts = summed(LINES, "USD", Vat(600))
    whole = Invoice(
        f"inv_{number:04d}", "INV", 0, 0, "acct_1", "use", "paid", "USD", Period(0, 5), at_ms,
        at_ms + YEAR_MS, amount_nano, parts, Vat(600), LINES, {"name": "Seller"},
        {"name": "王小明"})
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def kept(db: Database) -> Database:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
    return db


async def put(db: Database, one: Invoice) -> Invoice:
    async with db.writing() as transaction:
        return await invoice.insert(transaction, one)


async def test_read_as_it_was_written(kept: Database) -> None:
    one = await put(kept, made(1))
    assert one.number == "INV-2026-000001"
    async with kept.reading() as transaction:
        assert await invoice.get(transaction, one.id) == one
        assert await invoice.get(transaction, one.number) == one
        assert await invoice.listing(transaction, InvoiceFilter("acct_1"), 9) == [
            replace(one, lines=())]
        assert await invoice.listing(transaction, InvoiceFilter("acct_2"), 9) == []
        for unknown in ("inv_9", "INV-2026-000009"):
            with pytest.raises(RelayError):
                await invoice.get(transaction, unknown)
    raw = b"".join(path.read_bytes() for path in kept.directory.glob("relayd.db*"))
    assert "王小明".encode() not in raw


async def test_numbers_under_concurrency_and_failures(kept: Database) -> None:
    dice = random.Random(5)

    async def one(number: int) -> None:
        series = dice.choice(["INV", "REC"])
        at_ms = NOW_MS + dice.randrange(2) * YEAR_MS
        try:
            async with kept.writing() as transaction:
                await invoice.insert(transaction, made(number, at_ms, series=series))
                await asyncio.sleep(0)
                if dice.random() < 0.3:
                    raise RuntimeError
        except RuntimeError:
            pass

    tasks = [asyncio.ensure_future(one(number)) for number in range(150)]
    await asyncio.sleep(0.02)
    for task in tasks[::7]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with kept.reading() as transaction:
        found = await invoice.listing(transaction, InvoiceFilter(), 999)
        assert await invoice.gaps(transaction) == []
    assert len(found) > 50
    for group in {(each.series, each.year) for each in found}:
        numbers = sorted(each.sequence for each in found if (each.series, each.year) == group)
        assert numbers == list(range(1, len(numbers) + 1))


async def test_two_processes_share_the_numbers(kept: Database) -> None:
    other = await open_database(Path(kept.directory), busy_ms=5000)
    try:
        async def several(db: Database, start: int) -> None:
            for number in range(start, start + 20):
                while True:
                    try:
                        await put(db, made(number))
                        break
                    except StoreError as error:
                        assert error.code == "store_busy"

        await asyncio.gather(several(kept, 0), several(other, 100))
    finally:
        await other.close()
    async with kept.reading() as transaction:
        found = await invoice.listing(transaction, InvoiceFilter(), 99)
    assert sorted(each.sequence for each in found) == list(range(1, 41))


@pytest.mark.parametrize("sql", [
    "UPDATE invoices SET total_minor = 1, net_minor = 1, tax_minor = 0",
    "UPDATE invoices SET buyer = x'00'", "UPDATE invoices SET sequence = 7",
    "UPDATE invoices SET account_id = 'acct_1'",
    "DELETE FROM invoices", "DELETE FROM invoice_lines",
    "UPDATE invoice_lines SET amount_nano = 1",
    "INSERT INTO invoice_lines VALUES ('inv_0001', 2, 'use', 'x', 1, 1, 1, 1)"])
async def test_what_was_issued_stays(kept: Database, sql: str) -> None:
    await put(kept, made(1))
    with pytest.raises(StoreError) as caught:
        async with kept.writing() as transaction:
            await transaction.run(sql)
    assert caught.value.code == "store_refused"


async def test_a_gap_is_refused(kept: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def third(*_: object) -> int:
        return 3

    monkeypatch.setattr(invoice, "next_sequence", third)
    with pytest.raises(StoreError) as caught:
        await put(kept, made(1))
    assert caught.value.code == "store_refused"


async def test_a_cause_has_one_document(kept: Database) -> None:
    await put(kept, made(1, cause="order:ord_1"))
    with pytest.raises(StoreError):
        await put(kept, made(2, cause="order:ord_1"))
    async with kept.writing() as transaction:
        assert await invoice.by_cause(transaction, "order:ord_1") == "inv_0001"
        assert await invoice.by_cause(transaction, "order:ord_2") is None
        await invoice.set_state(transaction, "inv_0001", "void")
        assert (await invoice.get(transaction, "inv_0001")).state == "void"


async def test_what_a_month_was_said_to_be(kept: Database) -> None:
    await put(kept, made(1))
    await put(kept, made(2))
    async with kept.reading() as transaction:
        said = await invoice.said(transaction, "acct_1", 0)
        assert said["USD"]["use", "gpt-4o-mini"] == Line(
            "use", "gpt-4o-mini", 2_469_135_780, 10, 12, 14)
        assert await invoice.said(transaction, "acct_1", 1) == {}


async def test_they_end_with_their_term(kept: Database) -> None:
    await put(kept, made(1))
    await put(kept, made(2, NOW_MS + 5, kind="counter", reverses="inv_0001", cause="void:1"))
    stays = await put(kept, made(3, NOW_MS + 6))
    for now_ms, deleted in ((NOW_MS + YEAR_MS - 1, 0), (NOW_MS + YEAR_MS, 0),
                            (NOW_MS + YEAR_MS + 5, 2), (NOW_MS + YEAR_MS + 5, 0)):
        async with kept.writing() as transaction:
            assert await invoice.delete_before(transaction, now_ms, 9) == deleted
    async with kept.reading() as transaction:
        assert await invoice.get(transaction, "inv_0003") == stays
        assert await transaction.rows("SELECT DISTINCT invoice_id FROM invoice_lines") == [
            ("inv_0003",)]
