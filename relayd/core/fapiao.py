"""Fapiao: applications from paid orders, what the tax platform issued for them, and red letters.

Law: states move by the table alone. A blue fapiao is never deleted or changed: a red one with
negative amounts takes it back, in full or in part, and never more than it has left. Amounts are
fen; the price has the tax in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from relayd.core.errors import RelayError
from relayd.core.vat import Taxed, Vat, taxed

FapiaoKind = Literal["ordinary", "special"]
FapiaoState = Literal[
    "submitted", "reviewing", "issuing", "issued", "delivered", "part_reversed", "reversed",
    "rejected", "cancelled", "red_requested", "red_confirming", "red_issued", "red_refused"]
FapiaoMove = Literal["take", "send", "issue", "deliver", "reject", "cancel", "reverse_part",
                     "reverse_all", "confirm", "refuse"]
FileFormat = Literal["xml", "pdf", "ofd"]
KINDS: Final[tuple[FapiaoKind, ...]] = ("ordinary", "special")
FORMATS: Final[tuple[FileFormat, ...]] = ("xml", "pdf", "ofd")
FAPIAO_STATES: Final[tuple[FapiaoState, ...]] = (
    "submitted", "reviewing", "issuing", "issued", "delivered", "part_reversed", "reversed",
    "rejected", "cancelled", "red_requested", "red_confirming", "red_issued", "red_refused")
FAPIAO_MOVES: Final[dict[tuple[FapiaoState, FapiaoMove], FapiaoState]] = {
    ("submitted", "take"): "reviewing",
    ("submitted", "cancel"): "cancelled",
    ("submitted", "reject"): "rejected",
    ("reviewing", "reject"): "rejected",
    # handed to the bookkeeper, or to a partner that issues
    ("reviewing", "send"): "issuing",
    ("issuing", "reject"): "rejected",
    ("issuing", "issue"): "issued",
    # its holder has the file
    ("issued", "deliver"): "delivered",
    ("issued", "reverse_part"): "part_reversed",
    ("issued", "reverse_all"): "reversed",
    ("delivered", "reverse_part"): "part_reversed",
    ("delivered", "reverse_all"): "reversed",
    ("part_reversed", "reverse_part"): "part_reversed",
    ("part_reversed", "reverse_all"): "reversed",
    # a red letter: asked for, confirmed (a buyer who used the blue one has a word in it), issued
    ("red_requested", "confirm"): "red_confirming",
    ("red_requested", "refuse"): "red_refused",
    ("red_confirming", "issue"): "red_issued",
    ("red_confirming", "refuse"): "red_refused",
}
STANDING: Final[frozenset[FapiaoState]] = frozenset({"issued", "delivered", "part_reversed"})
"""Blue ones of which something can be taken back."""
HOLDING: Final[frozenset[FapiaoState]] = frozenset({
    "submitted", "reviewing", "issuing", "issued", "delivered", "part_reversed", "reversed",
    "red_requested", "red_confirming", "red_issued"})
"""Whose amounts count against their orders; a red one's once it is issued."""
REASONS: Final[Mapping[str, str]] = {
    "title": "The title is not the payer's.",
    "uscc": "The unified social credit code is not the company's.",
    "kind": "A special fapiao cannot be issued to this buyer.",
    "order": "An order was refunded or disputed.",
    "duplicate": "There is a fapiao for this already.",
    "expired": "It is too late for a fapiao for this order.",
}
"""Why an application is rejected."""
RED_REASONS: Final[Mapping[str, str]] = {
    "01": "开票有误", "02": "销货退回", "03": "服务中止", "04": "销售折让"}
"""Why a blue one is taken back, as the tax platform numbers it."""
CURRENCY: Final = "CNY"
NUMBER: Final = re.compile(r"[0-9]{20}", re.ASCII)
FILE_BYTES_MAX: Final = 2 * 1024 * 1024
ORDERS_MAX: Final = 50


class Share(NamedTuple):
    """What of an order a fapiao is for."""

    order: str
    minor: int


@dataclass(frozen=True, slots=True)
class Fapiao:
    """One application, or one red letter (`reverses`). `buyer` by field; never in a repr."""

    id: str
    account: str
    kind: FapiaoKind
    state: FapiaoState
    amount_minor: int
    tax_minor: int
    vat_rate: int
    created_at_ms: int
    until_ms: int
    shares: tuple[Share, ...]
    buyer: Mapping[str, str] = field(repr=False)
    reason: str | None = None
    reverses: str | None = None
    confirmation: str | None = None
    number: str | None = None
    issued_on: str | None = None

    @property
    def taxed(self) -> Taxed:
        """Net, tax and total."""
        return Taxed(self.amount_minor - self.tax_minor, self.tax_minor, self.amount_minor)


def advance(state: FapiaoState, move: FapiaoMove) -> FapiaoState:
    """The state after a move. Raises RelayError `fapiao_state` where the table has no row."""
    try:
        return FAPIAO_MOVES[state, move]
    except KeyError:
        raise RelayError("fapiao_state") from None


def parts(amount_minor: int, rate: int) -> Taxed:
    """What is net and what is tax of a price that has the tax in it."""
    return taxed(amount_minor, Vat(rate, True))


def red_tax(blue: Fapiao, back_minor: int, left: Taxed) -> int:
    """The tax of a red letter over `back_minor` (above zero) of a blue one that has `left`.

    The last one takes exactly what is left, so that rounding never leaves a fen of tax behind.
    Raises `fapiao_amount` for nothing, or for more than is left.
    """
    if not 0 < back_minor <= left.total:
        raise RelayError("fapiao_amount", param="amount")
    if back_minor == left.total:
        return left.tax
    tax = parts(back_minor, blue.vat_rate).tax
    # what is left keeps a net and a tax of its own
    return max(left.tax - (left.total - back_minor), min(tax, left.tax))


def spread(back_minor: int, shares: Sequence[Share]) -> tuple[Share, ...]:
    """An amount that goes back, over the orders that it was for, in their order."""
    found = []
    for share in shares:
        taken = min(back_minor, share.minor)
        if taken:
            found.append(Share(share.order, -taken))
        back_minor -= taken
    if back_minor:
        raise RelayError("fapiao_amount", param="amount")
    return tuple(found)


def check_number(text: str, name: str = "number") -> str:
    """A number of 20 digits, as the tax platform gives them. Raises `invalid_value`."""
    plain = "".join(text.split())
    if not NUMBER.fullmatch(plain):
        raise RelayError("invalid_value", param=name)
    return plain
