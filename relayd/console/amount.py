"""How figures are written on pages: amounts, times, counts. Pure.

Law: an amount is never shown as nothing when it is something; the exact one is in the exports.
"""

from __future__ import annotations

from typing import Final

from relayd.core.currency import places
from relayd.core.money import NANO, decimal, rounded

PLACES_LARGE: Final = 2
PLACES_SMALL: Final = 4
_SIGNS: Final = {"USD": "$", "CNY": "¥", "EUR": "€", "GBP": "£"}
_UNITS: Final = ((10 ** 12, "T"), (10 ** 9, "G"), (10 ** 6, "M"), (10 ** 3, "k"))


def money(nano: int, currency: str) -> str:
    """`$12.35`, `$0.0042`, `< $0.0001`: two places from one unit on (three where the currency has
    as many), else four."""
    sign = _SIGNS.get(currency, f"{currency} ")
    large = max(PLACES_LARGE, places(currency))
    shown_places = large if abs(nano) >= NANO or not nano else PLACES_SMALL
    unit = 10 ** (9 - shown_places)
    shown = rounded(abs(nano), unit) * unit
    minus = "-" if nano < 0 else ""
    if nano and not shown:
        return f"{minus}< {sign}{decimal(unit, shown_places)}"
    whole, _, part = decimal(shown, shown_places).partition(".")
    return f"{minus}{sign}{int(whole):,}.{part}"


def cost(nano: int, currency: str) -> str:
    """What calls cost, as `money` writes it; `0` is nothing in any currency: the record of a call
    that has no price names one all the same."""
    return money(nano, currency) if nano else "0"


def axis_money(nano: int) -> str:
    """An amount beside an axis: as short as it is exact."""
    return decimal(nano)


def short(count: int) -> str:
    """1234567 as `1.2M`; exact below a thousand."""
    for size, letter in _UNITS:
        if count >= size:
            tenths = rounded(count * 10, size)
            whole, tenth = divmod(tenths, 10)
            return f"{whole}.{tenth}{letter}" if tenth and whole < 100 else f"{whole}{letter}"
    return str(count)


def took(milliseconds: float | None) -> str:
    """`85 ms`, `1.24 s`; a dash where there is none."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.2f} s"


def share(part: int, whole: int) -> str:
    """`1.5 %`; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "–"
