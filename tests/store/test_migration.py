"""Schema versions: forward only, all or nothing, newer ones refused."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from relayd.core.errors import RelayError
from relayd.core.invoice import Period
from relayd.store import (
    abuse, account, alert, closing, fapiao, grant, holder, invoice, key, limit, mail, migration,
    order, partner, session, ticket, vault,
)
from relayd.store.backup import SAVED_FOLDER, judge
from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.directory import StoreError
from relayd.store.migration import Migration, known, statements
from relayd.store.transaction import Transaction
from tests.fakes.first_store import ANN, BEN, ERASED, write_first_store
from tests.fakes.plans import plans, whole


def test_the_files_are_numbered_without_gaps() -> None:
    assert [each.version for each in known()] == list(range(1, len(known()) + 1))


def test_every_table_is_strict() -> None:
    for each in known():
        tables = re.findall(r"CREATE TABLE.*?\n\)(.*?);", each.sql, re.DOTALL)
        assert all("STRICT" in options for options in tables)
    assert any("CREATE TABLE" in each.sql for each in known())


def test_a_file_is_cut_into_statements() -> None:
    sql = ("-- a; comment\nCREATE TABLE t (a);\n\nCREATE TRIGGER r AFTER INSERT ON t BEGIN\n"
           "  DELETE FROM t;\nEND;\nINSERT INTO t VALUES (';');\n")
    assert [text.strip()[:14] for text in statements(sql)] == [
        "-- a; comment\n", "CREATE TRIGGER", "INSERT INTO t "]


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        db = await open_database(tmp_path / "store")
        async with db.reading() as transaction:
            versions = await transaction.rows("SELECT version FROM schema_migrations")
        await db.close()
        assert versions == [(each.version,) for each in known()]


async def test_a_newer_store_is_refused_with_words(db: Database) -> None:
    async with db.writing() as transaction:
        await transaction.run("INSERT INTO schema_migrations VALUES (9999, 'later')")
    with pytest.raises(StoreError) as caught:
        await open_database(db.directory)
    assert caught.value.code == "store_newer" and "newer relayd" in caught.value.kind.message


async def test_a_migration_that_fails_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_database(tmp_path / "store")
    await db.close()
    broken = Migration(9000, "broken", "CREATE TABLE half (a TEXT) STRICT;\nCREATE nonsense;\n")
    monkeypatch.setattr(migration, "known", lambda before=known(): [*before, broken])
    with pytest.raises(StoreError) as caught:
        await open_database(tmp_path / "store")
    assert caught.value.code == "store_failed"
    connection = sqlite3.connect(tmp_path / "store" / FILE_NAME)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
    connection.close()
    assert tables == []


def shape(path: Path) -> dict[str, str]:
    """The tables, indexes and triggers of a database that is sound, without quotes and spaces."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: " ".join(sql.replace('"', "").split()) for name, sql in rows}


@pytest.mark.parametrize("version", [each.version for each in known()[:-1]])
async def test_a_store_of_every_version_becomes_what_a_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: Database, version: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migration, "known", lambda had=known()[:version]: had)
        await (await open_database(tmp_path / "old")).close()
    await (await open_database(tmp_path / "old")).close()
    assert shape(tmp_path / "old" / FILE_NAME) == shape(db.directory / FILE_NAME)
    (saved,) = (tmp_path / "old" / SAVED_FOLDER).iterdir()
    assert saved.name.startswith(f"before-{version + 1:04d}-") and judge(saved) == version


async def test_the_first_version_s_store_is_brought_forward(
    tmp_path: Path, db: Database
) -> None:
    write_first_store(tmp_path / "old")
    old = await open_database(tmp_path / "old")
    async with old.reading() as transaction:
        found = [await account.get(transaction, who) for who in (ANN, BEN, ERASED)]
        keys = await key.shown(transaction, ANN, 9)
        limits = await limit.get(transaction, "account", BEN)
        used = await transaction.rows("SELECT account_id, used_nano FROM account_use ORDER BY 1")
    await old.close()
    assert [(each.email, each.name, each.state) for each in found] == [
        ("ann@example.org", "Ann", "active"), ("ben@example.org", None, "active"),
        (None, None, "erased")]
    assert [(each.name, each.app, each.models) for each in keys] == [
        ("laptop", "notes", ("gpt-*",))]
    assert limits == {"monthly_budget": 2_500_000_000, "requests_per_minute": 60}
    assert used == [(ANN, 1500), (BEN, 7), (ERASED, 0)]
    assert shape(old.directory / FILE_NAME) == shape(db.directory / FILE_NAME)
    assert b"ann@example.org" not in (old.directory / FILE_NAME).read_bytes()


NOW_MS = 1_800_000_000_000
ASKED: dict[str, Callable[[Transaction], Awaitable[object]]] = {
    "an account's keys": lambda t: key.shown(t, "acct_1", 9),
    "an account's orders": lambda t: order.listing(t, order.OrderFilter("acct_1"), 9),
    "orders in a state": lambda t: order.listing(t, order.OrderFilter(states=("disputed",)), 9),
    "refunds that wait": lambda t: order.pending_refunds(t, 9),
    "an account's invoices": lambda t: invoice.listing(t, invoice.InvoiceFilter("acct_1"), 9),
    "counter-invoices": lambda t: invoice.listing(t, invoice.InvoiceFilter(kind="counter"), 9),
    "an account's credit": lambda t: grant.listing(t, "acct_1"),
    "payments of a month": lambda t: closing.payments(t, Period(0, NOW_MS), closing.START, 9),
    "tickets that are late": lambda t: ticket.count_overdue(t, NOW_MS),
    "closed tickets": lambda t: ticket.ended(t, NOW_MS, 9),
    "new accounts": lambda t: abuse.made_since(t, NOW_MS),
    "accounts of keys": lambda t: abuse.owners(t, ["key_1"]),
    "calls of a week": lambda t: abuse.calls(t, NOW_MS),
    "wrong sign-ins": lambda t: abuse.wrong_sign_ins(t, NOW_MS),
    "alerts": lambda t: alert.listing(t, ("acct_1", "CNY"), 9),
    "who was not seen": lambda t: holder.dormant(t, NOW_MS, "acct_1", 9),
    "payments that failed": lambda t: abuse.payments(t, NOW_MS),
    "mail whose time is over": lambda t: mail.delete_before(t, NOW_MS, 9),
    "sessions whose time is over": lambda t: session.sweep(t, NOW_MS, 9),
    "fapiao whose time is over": lambda t: fapiao.delete_before(t, NOW_MS, 9),
    "orders whose time is over": lambda t: vault.anonymise_orders(t, NOW_MS, 9),
    "messages whose time is over": lambda t: partner.delete_before(t, NOW_MS, 9),
    "years that are not over": lambda t: vault.empty_years(t, ["vault:2060"], 2027),
}


@pytest.mark.parametrize("what", ASKED)
async def test_nothing_is_found_by_reading_a_table_that_grows(db: Database, what: str) -> None:
    with plans() as steps:
        async with db.writing() as transaction:
            await ASKED[what](transaction)
    assert whole(steps) == []


async def test_an_invoice_is_found_by_its_number(db: Database) -> None:
    with plans() as steps:
        async with db.writing() as transaction:
            for text in ("INV-2026-000001", "INV-2026-00001", "inv_1", "INV-x"):
                with pytest.raises(RelayError):
                    await invoice.get(transaction, text)
    assert whole(steps) == [] and any("series=? AND year=?" in step for step in steps)


async def test_orders_whose_time_is_not_over_are_not_looked_at(db: Database) -> None:
    with plans() as steps:
        async with db.writing() as transaction:
            await vault.anonymise_orders(transaction, NOW_MS, 9)
    assert any("orders_named (created_at_ms<?)" in step for step in steps)
