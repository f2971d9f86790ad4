"""Statements against the ledger: each way of differing is found, and only those."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.statement import Booked, Difference, StatementLine, differences, merged

LINES = [StatementLine("payment", "ord_1", "CNY", 100, 3),
         StatementLine("refund", "rf_1", "CNY", 5),
         StatementLine("payout", "po_1", "CNY", 90)]
BOOK = {("payment", "ord_1"): Booked("CNY", 100), ("refund", "rf_1"): Booked("CNY", 5)}


def test_what_is_the_same() -> None:
    assert differences(LINES, BOOK, BOOK) == []
    assert differences([], {}, {}) == []


def test_each_way_of_differing() -> None:
    book = {("payment", "ord_1"): Booked("CNY", 101), ("refund", "rf_1"): Booked("USD", 5)}
    due = {("payment", "ord_2"): Booked("CNY", 7)}
    assert differences(LINES, book, due) == [
        Difference("payment", "ord_1", "other_amount", 100, 101),
        Difference("payment", "ord_2", "not_in_statement", None, 7),
        Difference("refund", "rf_1", "other_currency", 5, 5)]
    assert differences(LINES[:1], {}, {}) == [
        Difference("payment", "ord_1", "not_in_ledger", 100, None)]


def test_what_nobody_can_book_is_told() -> None:
    strange = StatementLine("other", "contribution:txn_1", "CNY", 5)
    back = StatementLine("refund_back", "rf_1", "CNY", 5)
    assert differences([strange, back, StatementLine("held", "txn_2", "CNY", 9)], {}, {}) == [
        Difference("other", "contribution:txn_1", "not_booked", 5, None),
        Difference("refund_back", "rf_1", "not_in_ledger", 5, None)]
    assert differences([back], {("refund_back", "rf_1"): Booked("CNY", 5)}, {}) == []


def test_lines_about_the_same_are_added_up() -> None:
    assert merged(LINES) == LINES
    twice = merged([*LINES, StatementLine("payment", "ord_1", "CNY", 100, 4)])
    assert twice == [StatementLine("payment", "ord_1", "CNY", 200, 7), *LINES[1:]]
    assert differences(twice, BOOK, BOOK) == [
        Difference("payment", "ord_1", "other_amount", 200, 100)]


@given(st.lists(st.tuples(st.sampled_from(["payment", "refund"]), st.integers(0, 9),
                          st.integers(1, 3)), unique_by=lambda each: each[:2]),
       st.lists(st.tuples(st.sampled_from(["payment", "refund"]), st.integers(0, 9),
                          st.integers(1, 3)), unique_by=lambda each: each[:2]))
def test_both_directions(told: list[tuple[str, int, int]], had: list[tuple[str, int, int]]
                         ) -> None:
    lines = [StatementLine(kind, str(n), "CNY", amount) for kind, n, amount in told]
    book = {(kind, str(n)): Booked("CNY", amount) for kind, n, amount in had}
    found = {each[:2] for each in differences(lines, book, book)}
    assert found == {(kind, str(n)) for kind, n, _ in set(told) ^ set(had)}
