"""Statements as rows; what the ledger has about their lines."""

from __future__ import annotations

from relayd.core.statement import Booked, Difference, StatementLine
from relayd.store import statement as store_statement
from relayd.store.db import Database
from relayd.store.statement import Checked
from tests.store.test_order import NOW, made

LINE = StatementLine("payment", "ord_1", "CNY", 100, 3)
CHECKED = Checked("card", "2026-01-31", NOW, 1)
DIFFERENCE = Difference("payment", "ord_1", "not_in_ledger", 100, None)


async def test_a_statement_is_kept_with_its_lines(db: Database) -> None:
    async with db.writing() as transaction:
        for _ in range(2):
            await store_statement.save(transaction, CHECKED, [LINE])
        again = CHECKED._replace(checked_at_ms=NOW + 1)
        await store_statement.save(transaction, again, [])
        assert await store_statement.listing(transaction, 9) == [again]
        assert await store_statement.days(transaction, "card", "2026-01-01") == {"2026-01-31"}
        assert await store_statement.days(transaction, "card", "2026-02-01") == set()
        assert await transaction.rows("SELECT COUNT(*) FROM statement_lines") == [(1,)]


async def test_what_the_ledger_has(db: Database) -> None:
    await made(db, trade="t", paid_at_ms=NOW, state="credited")
    await made(db, 2)
    key = ("payment", "ord_1")
    async with db.writing() as transaction:
        lines = [LINE, LINE._replace(reference="ord_2"), LINE._replace(kind="payout")]
        assert await store_statement.booked(transaction, "card", lines) == {
            key: Booked("CNY", 100)}
        assert await store_statement.booked(transaction, "other", lines) == {}
        assert await store_statement.due(transaction, "card", NOW, NOW + 1) == {
            key: Booked("CNY", 100)}
        assert await store_statement.due(transaction, "card", NOW + 1, NOW + 2) == {}
        await store_statement.save(transaction, CHECKED, [LINE])
        assert await store_statement.due(transaction, "card", NOW, NOW + 1) == {}


async def test_differences_are_those_of_the_last_look(db: Database) -> None:
    async with db.writing() as transaction:
        await store_statement.set_differences(
            transaction, "card", "2026-01-31", [LINE], [DIFFERENCE])
        assert await store_statement.differences(transaction, 9) == [
            ("card", "2026-01-31", DIFFERENCE)]
        # a line of the next day is about the same
        await store_statement.set_differences(transaction, "card", "2026-02-01", [LINE], [])
        assert await store_statement.differences(transaction, 9) == []


async def test_each_partner_has_its_own_statements_lines_and_differences(db: Database) -> None:
    await made(db, trade="t", paid_at_ms=NOW, state="credited")
    other = CHECKED._replace(partner="other", day="2026-02-03")
    async with db.writing() as transaction:
        await store_statement.save(transaction, CHECKED, [])
        # the same reference at another partner, or of another kind, is not this payment
        await store_statement.save(transaction, other, [LINE])
        await store_statement.save(transaction, CHECKED, [LINE._replace(kind="payout")])
        assert await store_statement.due(transaction, "card", NOW, NOW + 1) == {
            ("payment", "ord_1"): Booked("CNY", 100)}
        assert await store_statement.due(transaction, "other", NOW, NOW + 1) == {}
        assert await store_statement.days(transaction, "card", "2026-01-01") == {"2026-01-31"}
        assert await store_statement.days(transaction, "other", "2026-01-01") == {"2026-02-03"}
        assert await store_statement.listing(transaction, 9) == [other, CHECKED]
        assert await store_statement.listing(transaction, 1) == [other]
        rows = [("card", "2026-01-31", DIFFERENCE),
                ("card", "2026-01-31", DIFFERENCE._replace(reference="ord_2")),
                ("card", "2026-01-30", DIFFERENCE._replace(reference="ord_3")),
                ("card", "2026-01-30", DIFFERENCE._replace(kind="refund")),
                ("other", "2026-01-30", DIFFERENCE)]
        for partner, day in sorted({row[:2] for row in rows}):
            await store_statement.set_differences(transaction, partner, day, [], [
                row[2] for row in rows if row[:2] == (partner, day)])
        assert await store_statement.differences(transaction, 9) == rows
        assert await store_statement.differences(transaction, 2) == rows[:2]
        # a look at a day takes back what differed on it, and what its lines are about
        await store_statement.set_differences(
            transaction, "card", "2026-02-01", [LINE], [])
        assert await store_statement.differences(transaction, 9) == rows[1:]
        await store_statement.set_differences(transaction, "card", "2026-01-31", [], [])
        assert await store_statement.differences(transaction, 9) == rows[2:]
