"""Statements as rows; what the ledger has about their lines."""

from __future__ import annotations

from relayd.core.dispute import Dispute
from relayd.core.refund import Refund
from relayd.core.statement import Booked, Difference, Key, LineKind, StatementLine
from relayd.store import order as store_order
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


async def test_of_each_kind_what_no_line_tells_of_is_missed(db: Database) -> None:
    for number, currency in ((1, "CNY"), (2, "USD"), (3, "EUR")):
        await made(db, number, currency=currency, amount_minor=100 * number, state="credited",
                   trade=f"t{number}", paid_at_ms=NOW, partner="other" if number == 3 else "card")
    refunds = (("done_1", 1, "done"), ("done_2", 2, "done"), ("back_1", 1, "failed"),
               ("back_2", 2, "failed"), ("late_2", 2, "failed"), ("never_2", 2, "failed"))
    disputes = (("won_1", 1, "won"), ("won_2", 2, "won"), ("open_2", 2, "open"))
    told: tuple[tuple[LineKind, str], ...] = (
        ("payment", "ord_1"), ("refund", "done_1"), ("refund", "back_1"),
        ("refund_back", "back_1"), ("refund", "back_2"), ("refund_back", "late_2"),
        ("dispute", "won_1"), ("dispute_won", "won_1"))
    missed: dict[Key, Booked] = {
        ("payment", "ord_2"): Booked("USD", 200), ("refund", "done_2"): Booked("USD", 11),
        # it came back, so it had left
        ("refund", "late_2"): Booked("USD", 14),
        # it had left, so it came back; of another one neither is told
        ("refund_back", "back_2"): Booked("USD", 13),
        ("dispute", "won_2"): Booked("USD", 31), ("dispute_won", "won_2"): Booked("USD", 31),
        ("dispute", "open_2"): Booked("USD", 32)}
    async with db.writing() as transaction:
        for number, (name, of, state) in enumerate(refunds):
            await store_order.save_refund(transaction, Refund(
                name, f"ord_{of}", 10 + number, state, NOW - 9, NOW))  # type: ignore[arg-type]
        for number, (name, of, state) in enumerate(disputes):
            await store_order.save_dispute(transaction, Dispute(
                name, f"ord_{of}", 30 + number, state, NOW,  # type: ignore[arg-type]
                None if state == "open" else NOW))
        await store_statement.save(
            transaction, CHECKED, [StatementLine(*key, "CNY", 1) for key in told])
        assert await store_statement.due(transaction, "card", NOW, NOW + 1) == missed
        assert await store_statement.due(transaction, "card", NOW + 1, NOW + 2) == {}
        assert await store_statement.due(transaction, "other", NOW, NOW + 1) == {
            ("payment", "ord_3"): Booked("EUR", 300)}
        lines = [StatementLine(*key, "CNY", 1) for key in missed]
        assert await store_statement.booked(transaction, "card", lines) == missed
        assert await store_statement.booked(transaction, "other", lines) == {}
        assert await store_statement.booked(transaction, "card", [
            StatementLine("refund", "never_2", "USD", 15),
            StatementLine("dispute_won", "open_2", "USD", 32)]) == {}


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
