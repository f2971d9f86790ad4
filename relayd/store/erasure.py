"""Erasures as rows, and what an erasure does to the tables of an account.

Law: every column that leads to an account is in `TABLES`: a test holds the schema against it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import orjson

from relayd.core.erasure import Erasure, Fate
from relayd.core.errors import RelayError
from relayd.core.timestamp import HOUR_MS
from relayd.store.transaction import Row, Transaction

_SELECT: Final = (
    "SELECT id, account_id, cause, state, asked_at_ms, due_at_ms, was, ended_at_ms, certificate"
    " FROM erasures"
)


class Rule(NamedTuple):
    """What becomes of a table's rows of an account, and the part of core/erasure.py they are."""

    table: str
    column: str
    part: str
    fate: Fate
    emptied: tuple[str, ...] = ()


TABLES: Final[tuple[Rule, ...]] = (
    Rule("accounts", "id", "profile", "empty",
         ("email", "email_index", "name", "username", "username_index", "country", "reason")),
    Rule("api_keys", "account_id", "keys", "empty", ("name", "app", "models")),
    Rule("identity_checks", "account_id", "profile", "delete"),
    Rule("key_exposures", "account_id", "keys", "delete"),
    Rule("call_records", "account_id", "app_labels", "empty", ("app",)),
    Rule("app_rollups", "account_id", "app_labels", "delete"),
    Rule("holders", "account_id", "password", "delete"),
    Rule("totp", "account_id", "second_factors", "delete"),
    Rule("recovery_codes", "account_id", "second_factors", "delete"),
    Rule("passkeys", "account_id", "second_factors", "delete"),
    Rule("account_roles", "account_id", "roles", "delete"),
    Rule("reveals", "operator_id", "roles", "delete"),
    Rule("reveals", "account_id", "roles", "delete"),
    Rule("sessions", "account_id", "sessions", "delete"),
    Rule("mail_tokens", "account_id", "mail_links", "delete"),
    Rule("account_limits", "account_id", "limits", "delete"),
    Rule("tickets", "account_id", "tickets", "shred"),
    Rule("outbox", "account_id", "letters", "shred"),
    Rule("notice_answers", "account_id", "objections", "delete"),
    # sums and figures under the bare id
    Rule("rollups", "account_id", "call_records", "keep"),
    Rule("network_records", "account_id", "network_records", "keep"),
    Rule("sign_ins", "account_id", "sign_ins", "keep"),
    Rule("audit_log", "target", "audit", "keep"),
    Rule("audit_log", "actor", "audit", "keep"),
    Rule("consents", "account_id", "consents", "vault"),
    Rule("orders", "account_id", "orders", "vault",
         ("session", "page", "trade", "client_key", "asked")),
    Rule("ledger_accounts", "owner", "orders", "keep"),
    Rule("account_use", "account_id", "orders", "keep"),
    Rule("money_changes", "account_id", "orders", "keep"),
    Rule("policy_changes", "account_id", "keys", "keep"),
    Rule("credit_lines", "account_id", "limits", "delete"),
    Rule("account_plans", "account_id", "limits", "delete"),
    Rule("subscriptions", "account_id", "orders", "keep"),
    Rule("grants", "account_id", "orders", "keep"),
    Rule("code_uses", "account_id", "orders", "keep"),
    Rule("balance_alerts", "account_id", "limits", "delete"),
    Rule("legal_vault", "account_id", "orders", "keep"),
    Rule("legal_requests", "account_id", "legal_requests", "keep"),
    # who bought is sealed under the vault's key of the year in which they end
    Rule("invoices", "account_id", "invoices", "keep"),
    Rule("fapiao", "account_id", "invoices", "keep"),
    Rule("enterprises", "account_id", "profile", "shred"),
    Rule("abuse_findings", "account_id", "findings", "delete"),
    Rule("erasures", "account_id", "erasures", "keep"),
)
"""Every column that leads to an account."""
UNCOUNTED: Final = frozenset({
    "rollups", "app_rollups", "call_records", "ledger_accounts", "account_use", "money_changes",
    "policy_changes", "grants", "code_uses", "subscriptions", "legal_vault", "reveals",
    "enterprises", "audit_log.actor"})
"""Tables, or one of their columns, whose rows are not counted: sums, copies, or told already."""
_TOLD: Final = "SELECT id FROM legal_requests WHERE notified_at_ms IS NOT NULL"
COUNTED: Final[dict[str, str]] = {
    "legal_requests": f" AND id IN ({_TOLD})",
    "audit_log": " AND (json_extract(details, '$.request') IS NULL"
                 f" OR json_extract(details, '$.request') IN ({_TOLD}))"}
"""Of these only the rows are counted that an owner may know of: no lawful request before it."""


def _erasure(row: Row) -> Erasure:
    return Erasure(*row)


async def insert(transaction: Transaction, erasure: Erasure, cancel_digest: bytes) -> None:
    """Add an erasure that begins to cool."""
    await transaction.run(
        "INSERT INTO erasures (id, account_id, cause, state, asked_at_ms, due_at_ms, was,"
        " cancel_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (erasure.id, erasure.account, erasure.cause, erasure.state, erasure.asked_at_ms,
         erasure.due_at_ms, erasure.was, cancel_digest))


async def end(transaction: Transaction, erasure: Erasure, fetch_digest: bytes | None) -> None:
    """Write how it ended; the secret of its mailed link finds it no more."""
    await transaction.run(
        "UPDATE erasures SET state = ?, ended_at_ms = ?, certificate = ?, fetch_digest = ?,"
        " cancel_digest = NULL WHERE id = ?",
        (erasure.state, erasure.ended_at_ms, erasure.certificate, fetch_digest, erasure.id))


async def find_cooling(transaction: Transaction, account: str) -> Erasure | None:
    """The erasure that an account waits for."""
    row = await transaction.row(
        f"{_SELECT} WHERE account_id = ? AND state = 'cooling'", (account,))
    return None if row is None else _erasure(row)


async def find_by_digest(
    transaction: Transaction, column: Literal["cancel_digest", "fetch_digest"], digest: bytes,
) -> Erasure:
    """The erasure of a mailed link's secret. Raises `erasure_not_found`."""
    row = await transaction.row(f"{_SELECT} WHERE {column} = ?", (digest,))
    if row is None:
        raise RelayError("erasure_not_found")
    return _erasure(row)


async def listing(transaction: Transaction, account: str) -> list[Erasure]:
    """An account's erasures, whatever became of them, the newest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ? ORDER BY id DESC", (account,))
    return [_erasure(row) for row in rows]


async def last(transaction: Transaction, account: str) -> Erasure | None:
    """The newest of them."""
    return next(iter(await listing(transaction, account)), None)


async def due(transaction: Transaction, now_ms: int, most: int) -> list[Erasure]:
    """The erasures whose cooling-off is over, the oldest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE state = 'cooling' AND due_at_ms <= ? ORDER BY due_at_ms LIMIT ?",
        (now_ms, most))
    return [_erasure(row) for row in rows]


async def counts(transaction: Transaction, account: str) -> dict[str, int]:
    """How many rows an account has, by part of core/erasure.py."""
    found: dict[str, int] = {}
    for rule in TABLES:
        if not UNCOUNTED.isdisjoint((rule.table, f"{rule.table}.{rule.column}")):
            continue
        row = await transaction.row(
            f"SELECT COUNT(*) FROM {rule.table} WHERE {rule.column} = ?"
            f"{COUNTED.get(rule.table, '')}", (account,))
        found[rule.part] = found.get(rule.part, 0) + (0 if row is None else int(row[0]))
    calls = await transaction.row(
        "SELECT COALESCE(SUM(calls), 0) FROM rollups WHERE account_id = ? AND hour_ms >="
        " (SELECT COALESCE(MAX(value), 0) FROM counters WHERE name = 'swept_ms')", (account,))
    found["call_records"] = 0 if calls is None else int(calls[0])
    return found


async def remove(transaction: Transaction, account: str) -> None:
    """Delete the rows that go with an account; those that are emptied are not touched here."""
    for rule in TABLES:
        if rule.fate in ("delete", "shred"):
            await transaction.run(
                f"DELETE FROM {rule.table} WHERE {rule.column} = ?", (account,))
    await transaction.run(
        "DELETE FROM key_limits WHERE key_id IN (SELECT id FROM api_keys WHERE account_id = ?)",
        (account,))
    # nothing is renewed any more
    await transaction.run(
        "UPDATE subscriptions SET state = 'ended' WHERE account_id = ?", (account,))


async def empty_labels(transaction: Transaction, account: str, hour_ms: int) -> int:
    """Empty the application labels of an account's calls of one hour; returns how many."""
    return await transaction.run(
        "UPDATE call_records SET app = NULL WHERE account_id = ? AND started_at_ms >= ?"
        " AND started_at_ms < ? AND app IS NOT NULL", (account, hour_ms, hour_ms + HOUR_MS))


async def hours(transaction: Transaction, account: str) -> list[int]:
    """The hours in which an account has calls, oldest first."""
    rows = await transaction.rows(
        "SELECT DISTINCT hour_ms FROM rollups WHERE account_id = ? ORDER BY hour_ms", (account,))
    return [row[0] for row in rows]


async def hasten(transaction: Transaction, erasure_id: str, now_ms: int) -> None:
    """Let an erasure be due now; its time to think again began when it was asked for."""
    await transaction.run(
        "UPDATE erasures SET due_at_ms = MAX(asked_at_ms, MIN(due_at_ms, ?)) WHERE id = ?",
        (now_ms, erasure_id))


async def erased_of(transaction: Transaction, accounts: list[str]) -> list[str]:
    """Those of these accounts that are erased."""
    rows = await transaction.rows(
        "SELECT id FROM accounts WHERE state = 'erased' AND id IN"
        " (SELECT value FROM json_each(?))", (orjson.dumps(accounts).decode(),))
    return [row[0] for row in rows]


async def delete_before(transaction: Transaction, ended_before_ms: int, most: int) -> int:
    """Delete erasures that ended before a moment, with their certificates."""
    return await transaction.run(
        "DELETE FROM erasures WHERE id IN (SELECT id FROM erasures WHERE ended_at_ms < ?"
        " LIMIT ?)", (ended_before_ms, most))


async def owed(transaction: Transaction, account: str) -> bool:
    """Whether the books still have something between an account and the operator."""
    row = await transaction.row(
        "SELECT 1 FROM ledger_accounts WHERE owner = ? AND balance_nano <> 0 LIMIT 1", (account,))
    return row is not None
