"""Erasures as rows, and what they do to tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import audit, usage
from relayd.core.account import Account
from relayd.core.actor import Actor
from relayd.core.erasure import PARTS, Erasure
from relayd.core.errors import RelayError
from relayd.core.timestamp import HOUR_MS
from relayd.store import account, erasure
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.transaction import Transaction
from tests.fakes.records import START_MS, call_record

COOLING = Erasure("era_1", "acct_1", "holder", "cooling", 5, 100, "active")
DIGEST, FETCH = b"1" * 32, b"2" * 32


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        await erasure.insert(transaction, COOLING, DIGEST)


async def test_found_while_it_cools(db: Database) -> None:
    await kept(db)
    async with db.reading() as transaction:
        assert await erasure.find_cooling(transaction, "acct_1") == COOLING
        assert await erasure.find_by_digest(transaction, "cancel_digest", DIGEST) == COOLING
        assert await erasure.due(transaction, 99, 9) == []
        assert await erasure.due(transaction, 100, 9) == [COOLING]
        with pytest.raises(RelayError):
            await erasure.find_by_digest(transaction, "fetch_digest", DIGEST)


async def test_one_at_a_time(db: Database) -> None:
    await kept(db)
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await erasure.insert(transaction, Erasure(
                "era_2", "acct_1", "operator", "cooling", 5, 6, "active"), FETCH)
    assert caught.value.code == "store_refused"


async def test_its_end(db: Database) -> None:
    await kept(db)
    ended = Erasure("era_1", "acct_1", "holder", "erased", 5, 100, "active", 101, "{}")
    async with db.writing() as transaction:
        await erasure.end(transaction, ended, FETCH)
        assert await erasure.find_cooling(transaction, "acct_1") is None
        assert await erasure.last(transaction, "acct_1") == ended
        assert await erasure.find_by_digest(transaction, "fetch_digest", FETCH) == ended
        assert await erasure.delete_before(transaction, 101, 9) == 0
        assert await erasure.delete_before(transaction, 102, 9) == 1


async def test_no_cooling_off_is_longer_than_it_was(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        for now_ms, due in ((200, 100), (50, 50), (1, 5)):
            await erasure.hasten(transaction, "era_1", now_ms)
            found = await erasure.find_cooling(transaction, "acct_1")
            assert found is not None and found.due_at_ms == due


async def test_who_is_owed_something(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        assert not await erasure.owed(transaction, "acct_1")
        await transaction.run(
            "INSERT INTO ledger_accounts (number, kind, owner, currency, balance_nano)"
            " VALUES (1, 'balance', 'acct_1', 'USD', 5)")
        assert await erasure.owed(transaction, "acct_1")


async def test_what_somebody_did_to_themselves_is_counted_once(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        await audit.append(transaction, Actor("acct_1"), "account.change", "acct_1", 5)
        found = await erasure.counts(transaction, "acct_1")
    assert (found["audit"], found["profile"], found["orders"]) == (1, 1, 0)


async def test_which_are_erased(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_2", "b@example.org", None, "active", 0))
        await account.update(transaction, Account("acct_2", None, None, "erased", 0))
        assert await erasure.erased_of(transaction, ["acct_1", "acct_2", "x"]) == ["acct_2"]


def test_every_rule_is_about_a_known_part() -> None:
    fates = {part.name: part.fate for part in PARTS}
    assert {rule.part for rule in erasure.TABLES} <= set(fates)
    for rule in erasure.TABLES:
        assert (rule.fate == "empty") <= bool(rule.emptied)


async def fill(transaction: Transaction, table: str, number: int, **given: object) -> None:
    """A row with something in each of its columns; what they mean is not looked at."""
    values: dict[str, object] = {}
    for row in await transaction.rows("SELECT name, type FROM pragma_table_info(?)", (table,)):
        usual: dict[str, object] = {"TEXT": f"{table}-{number}", "BLOB": b"%032d" % number}
        values[row[0]] = usual.get(row[1], number)
    values |= given | ({"details": "{}"} if table == "audit_log" else {})
    await transaction.run(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()))


async def everywhere(transaction: Transaction, *accounts: str) -> None:
    """A row for each of the accounts in every column that leads to one."""
    await transaction.run("PRAGMA defer_foreign_keys = ON")
    await transaction.run("PRAGMA ignore_check_constraints = ON")
    for row in await transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        await transaction.run(f"DROP TRIGGER {row[0]}")
    number = 10
    for rule in erasure.TABLES:
        for name in accounts:
            number += 1
            await fill(transaction, rule.table, number, **{rule.column: name})
            if rule.table == "api_keys":
                await fill(transaction, "key_limits", number, key_id=f"api_keys-{number}")


async def rows_of(transaction: Transaction, name: str) -> dict[tuple[str, str], int]:
    found = {}
    for rule in erasure.TABLES:
        [row] = await transaction.rows(
            f"SELECT COUNT(*) FROM {rule.table} WHERE {rule.column} = ?", (name,))
        found[rule.table, rule.column] = row[0]
    return found


class Undone(Exception):
    """Takes back what a test wrote against every rule of the schema."""


async def test_Y2_what_goes_with_an_account_goes_everywhere_and_nobody_else_s(
    db: Database
) -> None:
    with pytest.raises(Undone):
        async with db.writing() as transaction:
            await everywhere(transaction, "acct_1", "acct_2")
            await erasure.remove(transaction, "acct_1")
            assert await rows_of(transaction, "acct_1") == {
                (rule.table, rule.column): int(rule.fate not in ("delete", "shred"))
                for rule in erasure.TABLES}
            assert set((await rows_of(transaction, "acct_2")).values()) == {1}
            assert await transaction.rows(
                "SELECT k.account_id FROM key_limits l JOIN api_keys k ON k.id = l.key_id"
            ) == [("acct_2",)]
            assert {row[0]: row[1] for row in await transaction.rows(
                "SELECT account_id, state = 'ended' FROM subscriptions")} == {
                    "acct_1": 1, "acct_2": 0}
            raise Undone


async def test_Y2_a_summary_counts_every_row_once(db: Database) -> None:
    with pytest.raises(Undone):
        async with db.writing() as transaction:
            await everywhere(transaction, "acct_1", "acct_2")
            [calls] = await transaction.rows(
                "SELECT calls FROM rollups WHERE account_id = 'acct_1'")
            assert await erasure.counts(transaction, "acct_1") == {
                "profile": 2, "password": 1, "second_factors": 3, "roles": 1, "sessions": 1,
                "mail_links": 1, "keys": 2, "limits": 4, "tickets": 1, "letters": 1,
                "objections": 1, "findings": 1, "call_records": calls[0], "network_records": 1,
                "sign_ins": 1, "audit": 1, "orders": 1, "invoices": 2, "consents": 1,
                "legal_requests": 1, "erasures": 1}
            assert not any((await erasure.counts(transaction, "acct_3")).values())
            raise Undone


async def test_labels_of_one_account_and_one_hour_go(db: Database) -> None:
    calls = [("acct_1", START_MS), ("acct_1", START_MS + HOUR_MS - 1),
             ("acct_1", START_MS - 1), ("acct_1", START_MS + HOUR_MS), ("acct_2", START_MS)]
    await usage.post(db, [
        call_record(account=name, started_at_ms=at, app="own") for name, at in calls])
    async with db.writing() as transaction:
        assert await erasure.empty_labels(transaction, "acct_1", START_MS) == 2
        assert await erasure.empty_labels(transaction, "acct_1", START_MS) == 0
        assert await transaction.rows(
            "SELECT account_id, started_at_ms FROM call_records WHERE app IS NULL"
            " ORDER BY started_at_ms") == calls[:2]
        assert await erasure.hours(transaction, "acct_1") == [
            START_MS - HOUR_MS, START_MS, START_MS + HOUR_MS]


async def test_of_several_erasures(db: Database) -> None:
    ends = [Erasure(f"era_{n}", "acct_1", "holder", "cooling", 5, 100 - n, "active")
            for n in (1, 2, 3)]
    async with db.writing() as transaction:
        for name in ("acct_1", "acct_2"):
            await account.insert(
                transaction, Account(name, f"{name}@example.org", None, "active", 0))
        for each in ends:
            await erasure.insert(transaction, each, each.id.encode().ljust(32))
            await erasure.end(transaction, replace(each, state="cancelled", ended_at_ms=7), None)
        other = Erasure("era_4", "acct_2", "holder", "cooling", 5, 98, "active")
        await erasure.insert(transaction, other, DIGEST)
        again = Erasure("era_5", "acct_1", "holder", "cooling", 5, 97, "active")
        await erasure.insert(transaction, again, FETCH)
        assert [e.id for e in await erasure.listing(transaction, "acct_1")] == [
            "era_5", "era_3", "era_2", "era_1"]
        assert await erasure.last(transaction, "acct_1") == again
        assert await erasure.last(transaction, "acct_3") is None
        assert await erasure.find_cooling(transaction, "acct_1") == again
        assert await erasure.find_cooling(transaction, "acct_2") == other
        assert await erasure.find_cooling(transaction, "acct_3") is None
        # a link of what has ended opens nothing
        with pytest.raises(RelayError):
            await erasure.find_by_digest(transaction, "cancel_digest", b"era_3".ljust(32))
        assert await erasure.due(transaction, 100, 9) == [again, other]
        assert await erasure.due(transaction, 100, 1) == [again]
        assert await erasure.delete_before(transaction, 8, 2) == 2
        assert await erasure.delete_before(transaction, 8, 2) == 1
