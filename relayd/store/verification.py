"""Identity checks as rows; the provider's number is sealed."""

from __future__ import annotations

from typing import Final

from relayd.core.verification import Answer, Check
from relayd.store.transaction import Transaction

_TABLE: Final = "identity_checks"


async def insert(transaction: Transaction, check: Check) -> None:
    """Add a check."""
    answer = check.answer
    await transaction.run(
        "INSERT INTO identity_checks (id, account_id, provider, verdict, level, reference, at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (check.id, check.account, check.provider, answer.verdict, answer.level,
         transaction.seal(check.account, _TABLE, "reference", check.id, answer.reference),
         check.at_ms))


async def listing(transaction: Transaction, account_id: str) -> list[Check]:
    """An account's checks, oldest first."""
    return [
        Check(row[0], row[1], row[2], Answer(row[3], row[4], transaction.unseal(
            row[1], _TABLE, "reference", row[0], row[5]) or ""), row[6])
        for row in await transaction.rows(
            "SELECT id, account_id, provider, verdict, level, reference, at_ms"
            " FROM identity_checks WHERE account_id = ? ORDER BY at_ms, id", (account_id,))]
