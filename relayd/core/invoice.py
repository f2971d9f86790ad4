"""Invoices and receipts: what a month's use came to, what was paid in, and what takes one back.

Law: lines are exact, in nano-units; a document rounds once, its sum, to minor units (half up,
away from zero), and only then is it split into net and tax. What was issued never changes: it is
made void by a counter-invoice, whose lines and amounts are the same with the other sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from relayd.core.currency import PLACES_DEFAULT, nano_per_minor, places
from relayd.core.errors import RelayError
from relayd.core.vat import NO_VAT, Taxed, Vat, signed_rounded, taxed

InvoiceKind = Literal["use", "receipt", "counter"]
Series = Literal["INV", "REC"]
InvoiceState = Literal["open", "paid", "void", "uncollectible"]
InvoiceMove = Literal["pay", "void", "write_off"]
LineKind = Literal["use", "fee", "proration", "credit", "top_up", "refund"]
INVOICE_STATES: Final[tuple[InvoiceState, ...]] = ("open", "paid", "void", "uncollectible")
INVOICE_MOVES: Final[dict[tuple[InvoiceState, InvoiceMove], InvoiceState]] = {
    ("open", "pay"): "paid",
    ("open", "void"): "void",
    ("open", "write_off"): "uncollectible",
    ("paid", "void"): "void",
    ("uncollectible", "pay"): "paid",
    ("uncollectible", "void"): "void",
}
DUE_MAX: Final = 24
"""Months that are due at most: what is older is closed by hand."""
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_NUMBER: Final = re.compile(r"(INV|REC)-([0-9]{4})-([0-9]{6,15})", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Line(NamedTuple):
    """One line. `reference`: the model of a use, the transfer of a fee, an order, a refund."""

    kind: LineKind
    reference: str
    amount_nano: int
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def key(self) -> tuple[LineKind, str]:
        """What it is about."""
        return self.kind, self.reference

    def minus(self, other: Line) -> Line:
        """What this one says beyond another about the same."""
        return self._replace(
            amount_nano=self.amount_nano - other.amount_nano, calls=self.calls - other.calls,
            input_tokens=self.input_tokens - other.input_tokens,
            output_tokens=self.output_tokens - other.output_tokens)


class Period(NamedTuple):
    """[start_ms, end_ms)."""

    start_ms: int
    end_ms: int


class ClosedMonth(NamedTuple):
    """A month that was closed, and what was issued for it so far. `closed_ms` None: it was begun,
    and broke off or is under way."""

    start_ms: int
    closed_ms: int | None
    invoices: int
    receipts: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One document. `buyer` is who it is for, by field; never in a repr.

    `sequence` counts within series and year, from 1 without a gap.
    """

    id: str
    series: Series
    year: int
    sequence: int
    account: str
    kind: InvoiceKind
    state: InvoiceState
    currency: str
    period: Period
    issued_at_ms: int
    until_ms: int
    amount_nano: int
    taxed: Taxed
    vat: Vat
    lines: tuple[Line, ...]
    seller: Mapping[str, str] = field(repr=False)
    buyer: Mapping[str, str] = field(repr=False)
    reverses: str | None = None
    cause: str | None = None

    @property
    def number(self) -> str:
        """As it is printed: `INV-2026-000001`."""
        return number(self.series, self.year, self.sequence)

    @property
    def places(self) -> int:
        """How many decimals its amounts have: its currency's, or the two that all had once. What
        it says before it was rounded tells."""
        rounded = self.taxed.total if self.vat.inclusive else self.taxed.net
        fits = signed_rounded(self.amount_nano, nano_per_minor(self.currency)) == rounded
        return places(self.currency) if fits else PLACES_DEFAULT


def number(series: str, year: int, sequence: int) -> str:
    """A document's number as it is printed."""
    return f"{series}-{year}-{sequence:06d}"


def parse_number(text: str) -> tuple[str, int, int] | None:
    """The series, year and sequence of a document's number; None where it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None or number(match[1], int(match[2]), int(match[3])) != text:
        return None
    return match[1], int(match[2]), int(match[3])


def advance(state: InvoiceState, move: InvoiceMove) -> InvoiceState:
    """The state after a move. Raises RelayError `invoice_state` where the table has no row."""
    try:
        return INVOICE_MOVES[state, move]
    except KeyError:
        raise RelayError("invoice_state") from None


def summed(lines: Iterable[Line], currency: str, vat: Vat = NO_VAT) -> tuple[int, Taxed]:
    """The exact sum of lines, and the same rounded once and by its parts."""
    amount_nano = sum(line.amount_nano for line in lines)
    return amount_nano, taxed(signed_rounded(amount_nano, nano_per_minor(currency)), vat)


def missing(has: Iterable[Line], stands: Mapping[tuple[LineKind, str], Line]) -> list[Line]:
    """What a period has and no standing document says; lines of nothing are left out.

    A use that is less than what was said is none: an erased account's sums go to nobody.
    """
    found = []
    for line in has:
        left = line.minus(stands[line.key]) if line.key in stands else line
        less = line.kind == "use" and (left.amount_nano < 0 or left.calls < 0)
        if not less and (left.amount_nano or left.calls):
            found.append(left)
    return found


def countered(found: Invoice, invoice_id: str, now_ms: int, until_ms: int) -> Invoice:
    """What takes an invoice back; its sequence is the store's to give.

    Raises `invoice_state` for one that is void or itself a counter-invoice.
    """
    if found.kind == "counter":
        raise RelayError("invoice_state")
    advance(found.state, "void")
    return replace(
        found, id=invoice_id, series=found.series, year=0, sequence=0, kind="counter",
        state="paid", issued_at_ms=now_ms, until_ms=until_ms, amount_nano=-found.amount_nano,
        taxed=Taxed(*(-part for part in found.taxed)), reverses=found.id,
        cause=f"void:{found.id}",
        lines=tuple(Line(line.kind, line.reference, -line.amount_nano, -line.calls,
                         -line.input_tokens, -line.output_tokens) for line in found.lines))


def month(text: str) -> Period:
    """The calendar month (UTC) of a text such as `2026-10`. Raises `invalid_time`."""
    match = _MONTH.fullmatch(text)
    if match is None or not 1970 <= int(match[1]) < 9999:
        raise RelayError("invalid_time", param="month")
    year, number_of = int(match[1]), int(match[2])
    after = (year + number_of // 12, number_of % 12 + 1)
    return Period(_ms(year, number_of), _ms(*after))


def months_due(known: Iterable[ClosedMonth], now_ms: int, grace_ms: int) -> list[Period]:
    """Months whose end and grace are over and that are not closed, the oldest first.

    They begin after the newest closed one; where none was, with the oldest that was begun, else
    with the last one alone: what was before relayd closed months is nobody's to guess. Months that
    are still to come count for nothing: a clock that was wrong has closed them.
    """
    last = before(month(month_text(now_ms - grace_ms)))
    known = [each for each in known if each.start_ms <= now_ms]
    closed = [each.start_ms for each in known if each.closed_ms is not None]
    begun = [each.start_ms for each in known]
    first_ms = max(closed) + 1 if closed else min(begun, default=last.start_ms)
    due: list[Period] = []
    while last.start_ms >= first_ms and len(due) < DUE_MAX:
        due.insert(0, last)
        last = before(last)
    return due


def before(period: Period) -> Period:
    """The month before a month."""
    return month(month_text(period.start_ms - 1))


def _ms(year: int, month_of: int) -> int:
    return int((datetime(year, month_of, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1000


def month_text(start_ms: int) -> str:
    """`2026-10` of a moment in it."""
    return datetime.fromtimestamp(start_ms // 1000, UTC).strftime("%Y-%m")
