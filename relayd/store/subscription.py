"""Plans of accounts and their subscriptions as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from relayd.core.plan import Plan, from_document
from relayd.core.subscription import Subscription
from relayd.store.transaction import Row, Transaction

_COLUMNS: Final = (
    "account_id, plan, version, state, anchor_day, start_ms, end_ms, due_at_ms, tries, reminded,"
    " next_plan")
_SELECT: Final = f"SELECT {_COLUMNS} FROM subscriptions"


def _subscription(row: Row) -> Subscription:
    values: list[Any] = list(row)
    values[9] = bool(row[9])
    return Subscription(*values)


async def keep_version(transaction: Transaction, plan: Plan, now_ms: int) -> None:
    """Keep a plan's terms as they are now; nothing where they are kept already."""
    await transaction.run(
        "INSERT INTO plan_versions (plan, version, terms, since_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (plan, version) DO NOTHING",
        (plan.name, plan.version, plan.document(), now_ms))


async def terms(transaction: Transaction, plan: str, version: str) -> Plan:
    """The terms of a version."""
    row = await transaction.row(
        "SELECT terms FROM plan_versions WHERE plan = ? AND version = ?", (plan, version))
    assert row is not None, "a subscription refers to it"
    return from_document(row[0])


async def put(transaction: Transaction, subscription: Subscription) -> None:
    """Write an account's subscription, in the place of an older one."""
    names = _COLUMNS.split(", ")
    await transaction.run(
        f"INSERT INTO subscriptions ({_COLUMNS}) VALUES ({', '.join('?' * len(names))})"
        " ON CONFLICT (account_id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in names[1:]),
        (subscription.account, subscription.plan, subscription.version, subscription.state,
         subscription.anchor_day, subscription.start_ms, subscription.end_ms,
         subscription.due_at_ms, subscription.tries, int(subscription.reminded),
         subscription.next_plan))


async def find(transaction: Transaction, account_id: str) -> Subscription | None:
    """An account's subscription, also one that has ended."""
    row = await transaction.row(f"{_SELECT} WHERE account_id = ?", (account_id,))
    return None if row is None else _subscription(row)


async def due(transaction: Transaction, now_ms: int, most: int) -> list[Subscription]:
    """Subscriptions for which something is to be done, the oldest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE state <> 'ended' AND due_at_ms <= ? ORDER BY due_at_ms LIMIT ?",
        (now_ms, most))
    return [_subscription(row) for row in rows]


async def put_off(transaction: Transaction, account_id: str, until_ms: int) -> None:
    """Nothing is done for an account's subscription until then."""
    await transaction.run(
        "UPDATE subscriptions SET due_at_ms = ? WHERE account_id = ?", (until_ms, account_id))


async def set_plan(transaction: Transaction, account_id: str, plan: str | None) -> None:
    """Give an account a plan; None: the default one."""
    # not one statement with ON CONFLICT: its way to treat conflicts would be that of the triggers
    # that note the change (sqlite.org/lang_createtrigger.html), of which one may be noted already
    await transaction.run("DELETE FROM account_plans WHERE account_id = ?", (account_id,))
    if plan is not None:
        await transaction.run(
            "INSERT INTO account_plans (account_id, plan) VALUES (?, ?)", (account_id, plan))


async def counts(transaction: Transaction) -> dict[tuple[str, str], int]:
    """How many accounts have a plan, by its name and the subscription's state; '': no
    subscription is under way."""
    rows = await transaction.rows(
        "SELECT p.plan, COALESCE(s.state, ''), COUNT(*) FROM account_plans p"
        " LEFT JOIN subscriptions s ON s.account_id = p.account_id AND s.plan = p.plan"
        " AND s.state <> 'ended' GROUP BY 1, 2")
    return {(row[0], row[1]): row[2] for row in rows}


async def plans(
    transaction: Transaction, among: Sequence[str] | None = None,
) -> dict[str, str]:
    """The plan of every account, or of each of these, that has another than the default one."""
    sql = "SELECT account_id, plan FROM account_plans"
    if among is None:
        return dict(await transaction.rows(sql))
    return dict(await transaction.rows(
        f"{sql} WHERE account_id IN (SELECT value FROM json_each(?))",
        (orjson.dumps(among).decode(),)))
