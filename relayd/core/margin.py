"""Margins: what calls brought in and what they cost the operator, by day, model and provider.

Law: revenue is the records' amounts, so it adds up to the rollups. Cost is the price book's price
of the same use without any markup; a call that is not billed costs nothing, and one that the book
has no price for in its currency is counted as unpriced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from relayd.core.budget import day_of
from relayd.core.price import PriceBook, amount
from relayd.core.record import CallRecord
from relayd.core.usage import billed


class MarginKey(NamedTuple):
    """What is summed together. `day_ms` is the start of a UTC day; '' stands for no name."""

    day_ms: int
    model: str
    provider: str
    currency: str


class Margin(NamedTuple):
    """The sums: what is left to the operator is revenue less cost, and may be below nothing."""

    calls: int = 0
    revenue_nano: int = 0
    cost_nano: int = 0
    unpriced: int = 0

    @property
    def left_nano(self) -> int:
        """Revenue less cost."""
        return self.revenue_nano - self.cost_nano

    def plus(self, other: Margin) -> Margin:
        """Both together."""
        return Margin(*(one + more for one, more in zip(self, other, strict=True)))


def of_call(record: CallRecord, book: PriceBook) -> Margin:
    """One call's."""
    if record.provider is None or not billed(record.outcome, record.usage_source):
        return Margin(1, record.amount_nano)
    price = book.price_of(record)
    if price is None or price.currency != record.currency:
        return Margin(1, record.amount_nano, 0, 1)
    return Margin(1, record.amount_nano, amount(record, price))


def add(
    sums: dict[MarginKey, Margin], records: Iterable[CallRecord], book: PriceBook
) -> None:
    """Adds calls to sums."""
    for record in records:
        key = MarginKey(day_of(record.started_at_ms), record.model or "", record.provider or "",
                        record.currency)
        sums[key] = sums.get(key, Margin()).plus(of_call(record, book))
