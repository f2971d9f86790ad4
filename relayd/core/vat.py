"""Value-added tax: what of a total is net and what is tax.

Law: whole minor units in and out. Inclusive, as fapiao count: net = total / (1 + rate), rounded
half up, and the tax is the rest. Exclusive: the tax is net x rate, rounded half up, and is added.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.core.money import rounded

RATE_ONE: Final = 10_000
"""100 percent; a rate counts hundredths of a percent."""


class Vat(NamedTuple):
    """The tax that invoices carry. `inclusive`: prices have it in them."""

    rate: int = 0
    inclusive: bool = True


class Taxed(NamedTuple):
    """An amount by its parts, which always add up."""

    net: int
    tax: int
    total: int


NO_VAT: Final = Vat()


def signed_rounded(numerator: int, denominator: int) -> int:
    """As `rounded`, and for amounts below zero the same with the other sign."""
    whole = rounded(abs(numerator), denominator)
    return -whole if numerator < 0 else whole


def taxed(amount: int, vat: Vat) -> Taxed:
    """The parts of an amount at a rate."""
    if vat.inclusive:
        net = signed_rounded(amount * RATE_ONE, RATE_ONE + vat.rate)
        return Taxed(net, amount - net, amount)
    tax = signed_rounded(amount * vat.rate, RATE_ONE)
    return Taxed(amount, tax, amount + tax)


def rate_text(rate: int) -> str:
    """`6%`, `0.5%`: as documents print a rate."""
    whole, part = divmod(rate, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".") + "%"
