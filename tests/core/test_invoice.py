"""Invoices: one table of states, one rounding, a counter-invoice that takes all of it back."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.currency import nano_per_minor, places
from relayd.core.errors import RelayError
from relayd.core.invoice import (
    DUE_MAX, INVOICE_MOVES, INVOICE_STATES, ClosedMonth, Invoice, InvoiceMove, Line, Period,
    advance, before, countered, missing, month, month_text, months_due, number, parse_number,
    summed,
)
from relayd.core.vat import Taxed, Vat, signed_rounded, taxed

LINES = st.lists(st.builds(
    Line, st.just("use"), st.text("abc", max_size=2), st.integers(-10 ** 12, 10 ** 12),
    st.integers(0, 99), st.integers(0, 10 ** 9), st.integers(0, 10 ** 9)), max_size=20)


@pytest.mark.parametrize("state, move", [*product(INVOICE_STATES, get_args(InvoiceMove))])
def test_states(state, move) -> None:  # type: ignore[no-untyped-def]
    if (state, move) in INVOICE_MOVES:
        assert advance(state, move) == INVOICE_MOVES[state, move]
        return
    with pytest.raises(RelayError) as caught:
        advance(state, move)
    assert caught.value.code == "invoice_state"


@given(LINES, st.sampled_from(["USD", "CNY", "JPY", "KWD", "CLP", "CLF", "ZZZ"]),
       st.integers(0, 2000))
def test_a_sum_is_rounded_once(lines: list[Line], currency: str, rate: int) -> None:
    amount_nano, parts = summed(lines, currency, Vat(rate))
    assert amount_nano == sum(line.amount_nano for line in lines)
    # at most half a minor unit off, however many lines there are
    unit = nano_per_minor(currency)
    assert abs(parts.total * unit - amount_nano) * 2 <= unit
    assert parts.net + parts.tax == parts.total


@given(st.integers(-10 ** 13, 10 ** 13), st.sampled_from(["USD", "JPY", "KWD", "CLP", "ZZZ"]),
       st.booleans(), st.booleans())
def test_a_document_says_how_many_decimals_it_was_issued_with(
    amount_nano: int, currency: str, old: bool, inclusive: bool
) -> None:
    """Once all but yen and won had two, whatever the currency: what was issued stays as it was."""
    decimals = 2 if old and currency != "JPY" else places(currency)
    vat = Vat(600, inclusive)
    parts = taxed(signed_rounded(amount_nano, 10 ** (9 - decimals)), vat)
    found = Invoice("inv_1", "INV", 2026, 7, "acct_1", "use", "paid", currency, Period(0, 5), 9,
                    99, amount_nano, parts, vat, (), {}, {})
    assert found.places == decimals or not any(parts)


def invoice(  # type: ignore[no-untyped-def]
    lines: tuple[Line, ...], state="paid", kind="use",
) -> Invoice:
    amount_nano, parts = summed(lines, "USD", Vat(600))
    return Invoice("inv_1", "INV", 2026, 7, "acct_1", kind, state, "USD", Period(0, 5), 9, 99,
                   amount_nano, parts, Vat(600), lines, {"name": "S"}, {"name": "王小明"})


@given(LINES)
def test_a_counter_invoice_leaves_nothing(lines: list[Line]) -> None:
    found = invoice(tuple(lines))
    counter = countered(found, "inv_2", 10, 100)
    assert Taxed(*(a + b for a, b in zip(found.taxed, counter.taxed, strict=True))) == (0, 0, 0)
    assert counter.amount_nano == -found.amount_nano
    assert counter.reverses == "inv_1" and counter.buyer == found.buyer
    for line, back in zip(found.lines, counter.lines, strict=True):
        assert back.key == line.key and [-part for part in back[2:]] == [*line[2:]]
    # what is said of the month is nothing again
    has = {line.key: line for line in lines}
    both = {line.key: line.minus(line) for line in lines}
    assert missing(has.values(), both) == missing(has.values(), {})


@pytest.mark.parametrize("state, kind", [("void", "use"), ("paid", "counter")])
def test_what_is_not_taken_back(state: str, kind: str) -> None:
    with pytest.raises(RelayError) as caught:
        countered(invoice((), state, kind), "inv_2", 10, 100)
    assert caught.value.code == "invoice_state"


def test_what_is_missing() -> None:
    has = [Line("use", "a", 5, 2), Line("use", "b", 1, 1), Line("use", "c", 3, 3),
           Line("credit", "", -4), Line("use", "free", 0, 9), Line("fee", "1", 0),
           Line("use", "d", 5, 1), Line("use", "e", 0, 1)]
    stands = {("use", "a"): Line("use", "a", 5, 2), ("use", "b"): Line("use", "b", 2, 1),
              ("use", "d"): Line("use", "d", 5, 2), ("use", "e"): Line("use", "e", 1, 1),
              ("credit", ""): Line("credit", "", -1)}
    assert missing(has, stands) == [
        Line("use", "c", 3, 3), Line("credit", "", -3), Line("use", "free", 0, 9)]


def test_what_a_line_says_beyond_another() -> None:
    assert Line("use", "a", 5, 4, 30, 20).minus(Line("use", "a", 2, 1, 10, 5)) == (
        "use", "a", 3, 3, 20, 15)


def test_months() -> None:
    assert month("2026-10") == (1_790_812_800_000, 1_793_491_200_000)
    assert month("2026-12").end_ms == month("2027-01").start_ms
    assert month_text(month("2026-10").start_ms) == "2026-10"
    assert month_text(month("2026-10").end_ms - 1) == "2026-10"
    assert month("1970-01").start_ms == 0
    for text in ("2026-13", "2026-1", "x", "9999-01", "2026-10 ", "1969-12"):
        with pytest.raises(RelayError):
            month(text)


def known(text: str, *, closed: bool = True) -> ClosedMonth:
    start_ms = month(text).start_ms
    return ClosedMonth(start_ms, start_ms + 1 if closed else None, 0, 0)


@pytest.mark.parametrize("has, now, due", [
    ([], "2026-10-31", ["2026-09"]),
    ([], "2026-11-01", ["2026-09"]),
    ([], "2026-11-02", ["2026-10"]),
    ([known("2026-10")], "2026-11-30", []),
    ([known("2026-10")], "2027-01-01", ["2026-11"]),
    ([known("2026-10")], "2027-01-02", ["2026-11", "2026-12"]),
    # a gap before the newest one is nobody's to guess
    ([known("2026-03"), known("2026-10")], "2026-12-02", ["2026-11"]),
    # begun and broken off: not forgotten
    ([known("2026-10", closed=False)], "2027-01-01", ["2026-10", "2026-11"]),
    ([known("2026-09"), known("2026-10", closed=False)], "2026-11-02", ["2026-10"]),
    # closed while the clock was wrong
    ([known("2026-10"), known("2036-01"), known("2035-12")], "2026-12-02", ["2026-11"]),
    # closed by hand, before its grace was over
    ([known("2026-10")], "2026-11-01", []),
])
def test_months_that_are_due(has: list[ClosedMonth], now: str, due: list[str]) -> None:
    day_ms = 86_400_000
    now_ms = month(now[:7]).start_ms + (int(now[8:]) - 1) * day_ms
    assert [month_text(each.start_ms) for each in months_due(has, now_ms, day_ms)] == due


def test_what_is_very_old_is_not_due() -> None:
    due = months_due([known("1999-12")], month("2026-11").start_ms, 0)
    assert len(due) == DUE_MAX and month_text(due[-1].start_ms) == "2026-10"
    assert all(before(late) == early for early, late in zip(due, due[1:], strict=False))


def test_numbers_and_what_a_repr_leaves_out() -> None:
    assert number("INV", 2026, 1) == "INV-2026-000001"
    found = invoice(())
    assert found.number == "INV-2026-000007" and "王小明" not in repr(found)


@given(st.sampled_from(("INV", "REC")), st.integers(1970, 9999), st.integers(1, 10 ** 9))
def test_a_number_is_read_as_it_is_printed(series: str, year: int, sequence: int) -> None:
    assert parse_number(number(series, year, sequence)) == (series, year, sequence)


@pytest.mark.parametrize("text", (
    "", "INV-2026-1", "INV-2026-0000001", "ABC-2026-000001", "INV-26-000001", "inv_01",
    "INV-2026-", "INV-2026-000001 ", "INV-2026-00000\u0661"))
def test_what_is_printed_otherwise_is_no_number(text: str) -> None:
    assert parse_number(text) is None
