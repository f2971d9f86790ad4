"""k-anonymity: a published figure stands for so many accounts that it tells of none of them.

Law: a cell with fewer than K accounts is left out, and so is any total from which it could be
computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

K: Final = 10


class Cell(NamedTuple):
    """Figures of one group: how many accounts are in it, and their sums."""

    accounts: int
    calls: int
    tokens: int


class Published(NamedTuple):
    """What may be shown: cells by name, how many were left out, and the total of what is shown."""

    cells: Mapping[str, Cell]
    suppressed: int
    calls: int
    tokens: int


def publishable(cells: Mapping[str, Cell]) -> Published:
    """The cells with K accounts or more; totals are of those alone."""
    shown = {name: cell for name, cell in sorted(cells.items()) if cell.accounts >= K}
    return Published(shown, len(cells) - len(shown), *_sums(shown.values()))


def _sums(cells: Iterable[Cell]) -> tuple[int, int]:
    found = list(cells)
    return sum(cell.calls for cell in found), sum(cell.tokens for cell in found)
