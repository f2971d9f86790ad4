"""Rows of an account that are handed out as they are: what names nobody else and opens nothing.

Law: the columns are listed, never `*`: a new column is handed out when somebody has thought of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from relayd.store.transaction import Transaction


class Rows(NamedTuple):
    """Columns, and the tables and condition that they come from; ?1 is the account's id."""

    columns: tuple[str, ...]
    sql: str


PLAIN: Final[Mapping[str, Rows]] = {
    "roles": Rows(("role", "given_at_ms"), "account_roles WHERE account_id = ?1 ORDER BY role"),
    "objections": Rows(
        ("notice_id", "answer", "at_ms"), "notice_answers WHERE account_id = ?1 ORDER BY at_ms"),
    "findings": Rows(
        ("rule", "at_ms", "figure", "bound", "suspended", "state", "decided_at_ms"),
        "abuse_findings WHERE account_id = ?1 ORDER BY at_ms"),
    "exposures": Rows(
        ("key_id", "at_ms"), "key_exposures WHERE account_id = ?1 ORDER BY at_ms"),
    "identity_checks": Rows(
        ("provider", "verdict", "level", "at_ms"),
        "identity_checks WHERE account_id = ?1 ORDER BY at_ms"),
    "refunds": Rows(
        ("r.id", "r.order_id", "r.amount_minor", "r.state", "r.asked_at_ms", "r.ended_at_ms"),
        "refunds AS r JOIN orders AS o ON o.id = r.order_id WHERE o.account_id = ?1"
        " ORDER BY r.id"),
    "disputes": Rows(
        ("d.id", "d.order_id", "d.amount_minor", "d.state", "d.opened_at_ms", "d.closed_at_ms"),
        "disputes AS d JOIN orders AS o ON o.id = d.order_id WHERE o.account_id = ?1"
        " ORDER BY d.id"),
    "books": Rows(
        ("t.number", "t.at_ms", "t.kind", "t.cause", "l.kind", "l.currency",
         "e.amount_nano"),
        "entries AS e JOIN transfers AS t ON t.number = e.transfer"
        " JOIN ledger_accounts AS l ON l.number = e.ledger_account WHERE l.owner = ?1"
        " ORDER BY t.number"),
    "spending": Rows(
        ("currency", "used_nano", "charged_nano", "before_nano"),
        "account_use WHERE account_id = ?1 ORDER BY currency"),
    "credit": Rows(
        ("currency", "credit_nano"), "credit_lines WHERE account_id = ?1 ORDER BY currency"),
    "plans": Rows(("plan",), "account_plans WHERE account_id = ?1"),
    "subscriptions": Rows(
        ("plan", "version", "state", "anchor_day", "start_ms", "end_ms", "due_at_ms", "tries",
         "reminded", "next_plan"),
        "subscriptions WHERE account_id = ?1"),
    "grants": Rows(
        ("id", "currency", "amount_nano", "left_nano", "source", "created_at_ms", "expires_at_ms"),
        "grants WHERE account_id = ?1 ORDER BY id"),
    "codes": Rows(("code_id", "at_ms"), "code_uses WHERE account_id = ?1 ORDER BY at_ms"),
    "alerts": Rows(
        ("currency", "below_nano", "told"),
        "balance_alerts WHERE account_id = ?1 ORDER BY currency"),
}
_NAMES: Final = {"l.kind": "account_kind", "t.number": "transfer"}
"""Fields whose names would say too little."""


async def rows(
    transaction: Transaction, name: str, account: str,
) -> AsyncIterator[Mapping[str, Any]]:
    """An account's rows of this name."""
    plain = PLAIN[name]
    names = [_NAMES.get(each, each.rpartition(".")[2]) for each in plain.columns]
    sql = f"SELECT {', '.join(plain.columns)} FROM {plain.sql}"
    async for batch in transaction.batches(sql, (account,)):
        for row in batch:
            yield dict(zip(names, row, strict=True))
