"""Figures for everybody: sums over accounts, without those whose owners objected.

Law: nothing is read here but numbers of groups; what is published of them is decided by
core/anonymity.py.
"""

from __future__ import annotations

from relayd.core.anonymity import Cell
from relayd.core.consent import ITEMS
from relayd.store.transaction import Transaction


async def use_by_model(
    transaction: Transaction, since_ms: int, until_ms: int, asked: int = 0,
) -> dict[str, Cell]:
    """Accounts, calls and tokens by model, of those who take part in figures (`improve`).

    `asked`: the version of the policy that asked for it anew; then only who agreed since.
    """
    assert ITEMS["improve"].assumed
    rows = await transaction.rows(
        "SELECT model, COUNT(DISTINCT account_id), SUM(calls), SUM(input_tokens + output_tokens)"
        " FROM rollups WHERE hour_ms >= ? AND hour_ms < ? AND model <> '' AND account_id <> ''"
        " AND account_id NOT IN (SELECT account_id FROM consents AS c WHERE item = 'improve'"
        " AND act = 'withdrawn' AND number = (SELECT MAX(number) FROM consents"
        " WHERE account_id = c.account_id AND item = 'improve'))"
        " AND (? = 0 OR account_id IN (SELECT account_id FROM consents WHERE item = 'improve'"
        " AND act = 'explicit' AND version >= ?)) GROUP BY model",
        (since_ms, until_ms, asked, asked))
    return {row[0]: Cell(*row[1:]) for row in rows}


async def erasures(transaction: Transaction) -> dict[str, int]:
    """How many erasures there are, by cause, that were carried out."""
    return dict(await transaction.rows(
        "SELECT cause, COUNT(*) FROM erasures WHERE state = 'erased' GROUP BY cause"))
