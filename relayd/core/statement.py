"""A partner's statement of a day, held against the ledger.

Law: both directions are looked at: what the partner has and the ledger has not, and the other way
round. A message may come before midnight and its line be of the next day, so what the ledger has
is missed only when the day after has been looked at as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

LineKind = Literal["payment", "refund", "refund_back", "dispute", "dispute_won", "payout",
                   "pay_in", "fee", "held", "other"]
What = Literal["not_in_ledger", "not_in_statement", "other_amount", "other_currency",
               "not_booked"]
DUE: Final[tuple[LineKind, ...]] = (
    "payment", "refund", "refund_back", "dispute", "dispute_won")
"""The kinds that the ledger knows before a statement tells of them, and of which one has to tell.
`refund_back`: a refund that came back to the partner, which only a refund does that had left it.
"""


class StatementLine(NamedTuple):
    """One line. `reference` is the order's id of a payment, the refund's or the dispute's own id,
    or the partner's id of the line; `amount_minor` is not below zero, `fee_minor` what the partner
    took for it (below zero: what it gave back).

    A `pay_in` comes from the operator's bank, as a payout does that came back. What is `held` the
    partner still has, for the operator. `other` is all that nobody here knows how to book: its
    reference begins with the partner's word for it.
    """

    kind: LineKind
    reference: str
    currency: str
    amount_minor: int
    fee_minor: int = 0


Key = tuple[LineKind, str]


class Booked(NamedTuple):
    """What the ledger has about the same."""

    currency: str
    amount_minor: int


class Difference(NamedTuple):
    """Where the two do not say the same."""

    kind: LineKind
    reference: str
    what: What
    statement_minor: int | None
    ledger_minor: int | None


def merged(lines: Iterable[StatementLine]) -> list[StatementLine]:
    """Lines about the same added up: so a payment that a partner has twice is of another amount
    than the ledger's, and its fees are booked together."""
    found: dict[tuple[LineKind, str, str], StatementLine] = {}
    for line in lines:
        known = found.get(line[:3])
        found[line[:3]] = line if known is None else known._replace(
            amount_minor=known.amount_minor + line.amount_minor,
            fee_minor=known.fee_minor + line.fee_minor)
    return list(found.values())


def differences(
    lines: Iterable[StatementLine], booked: Mapping[Key, Booked], due: Mapping[Key, Booked],
) -> list[Difference]:
    """What differs, by reference.

    `booked` is what the ledger has about the lines' references; `due` what it has of the time that
    the statements so far must show, without those that a line was seen for.
    """
    found = []
    seen = set()
    for line in lines:
        if line.kind == "other":
            found.append(Difference("other", line.reference, "not_booked",
                                    line.amount_minor, None))
        if line.kind not in DUE:
            continue
        seen.add((line.kind, line.reference))
        what = _compared(line, booked.get((line.kind, line.reference)))
        if what is not None:
            found.append(what)
    found += [Difference(kind, reference, "not_in_statement", None, had.amount_minor)
              for (kind, reference), had in due.items() if (kind, reference) not in seen]
    return sorted(found)


def _compared(line: StatementLine, had: Booked | None) -> Difference | None:
    name, minor = (line.kind, line.reference), line.amount_minor
    if had is None:
        return Difference(*name, "not_in_ledger", minor, None)
    if had.currency != line.currency:
        return Difference(*name, "other_currency", minor, had.amount_minor)
    if had.amount_minor != minor:
        return Difference(*name, "other_amount", minor, had.amount_minor)
    return None
