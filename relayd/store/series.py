"""Series from the rollups."""

from __future__ import annotations

from typing import Final, Literal

from relayd.core.rollup import Sums
from relayd.core.series import Period, Point
from relayd.store.transaction import Transaction

Column = Literal["model", "key_id", "provider"]
_SUMS: Final = ", ".join(f"SUM({name})" for name in Sums._fields)


async def points(
    transaction: Transaction, account: str, wanted: Period, column: Column | None = None
) -> list[Point]:
    """The sums of each step, currency and value of a column, by time; steps without calls lack."""
    name = column or "''"
    rows = await transaction.rows(
        f"SELECT hour_ms - hour_ms % ?, {name}, currency, {_SUMS} FROM rollups"
        " WHERE account_id = ? AND hour_ms >= ? AND hour_ms < ?"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (wanted.step_ms, account, wanted.since_ms, wanted.until_ms))
    return [Point(at_ms, name, currency, Sums(*sums)) for at_ms, name, currency, *sums in rows]
