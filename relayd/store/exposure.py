"""Keys that came in clear, as rows: each once."""

from __future__ import annotations

from relayd.core.exposure import Exposure
from relayd.store.transaction import Transaction


async def insert(transaction: Transaction, exposure: Exposure) -> bool:
    """Add one; False where its key is there already."""
    return await transaction.run(
        "INSERT OR IGNORE INTO key_exposures (key_id, account_id, at_ms) VALUES (?, ?, ?)",
        tuple(exposure)) > 0


async def usable(transaction: Transaction, account_id: str, now_ms: int) -> list[Exposure]:
    """Those of an account whose keys still work."""
    return [Exposure(*row) for row in await transaction.rows(
        "SELECT e.key_id, e.account_id, e.at_ms FROM key_exposures e JOIN api_keys k"
        " ON k.id = e.key_id WHERE e.account_id = ? AND k.state = 'active'"
        " AND (k.expires_at_ms IS NULL OR k.expires_at_ms > ?) ORDER BY e.at_ms, e.key_id",
        (account_id, now_ms))]
