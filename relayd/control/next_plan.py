"""The plan that follows: a change at the end of the period, asked for and called off.

Law: nothing is paid and nothing ends before the period does; then the change is the renewal itself
(control/subscription.py), under the plan's terms of that day. Whoever was told already what the
renewal costs is told again.
"""

from __future__ import annotations

from dataclasses import replace

from relayd.control import audit
from relayd.control.subscription import Plans
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.subscription import Subscription, advance
from relayd.store import subscription as store_subscription
from relayd.store.db import Database
from relayd.store.transaction import Transaction


async def schedule(
    db: Database, account_id: str, name: str, plans: Plans, now_ms: int, actor: Actor,
) -> Subscription:
    """Change to this plan when the present period ends, in the place of any that was to follow.

    Raises `plan_not_found`; `subscription_state` without a subscription that goes on, and for the
    plan that one has.
    """
    plan = plans.get(name)
    if plan is None or plan.period is None:
        raise RelayError("plan_not_found", param="plan")
    async with db.writing() as transaction:
        found = await _found(transaction, account_id)
        if found.plan == name:
            raise RelayError("subscription_state", param="plan")
        if found.next_plan == name:
            return found
        changed = await _put(transaction, found, name, now_ms)
        await audit.append(transaction, actor, "subscription.schedule", account_id, now_ms,
                           details={"plan": name})
    return changed


async def drop(db: Database, account_id: str, now_ms: int, actor: Actor) -> Subscription:
    """Call a change off: the present plan goes on. Raises `subscription_state` where there is
    none."""
    async with db.writing() as transaction:
        found = await _found(transaction, account_id)
        if found.next_plan is None:
            raise RelayError("subscription_state")
        changed = await _put(transaction, found, None, now_ms)
        await audit.append(transaction, actor, "subscription.unschedule", account_id, now_ms,
                           details={"plan": found.next_plan})
    return changed


async def _found(transaction: Transaction, account_id: str) -> Subscription:
    found = await store_subscription.find(transaction, account_id)
    if found is None:
        raise RelayError("subscription_state")
    return replace(found, state=advance(found.state, "schedule"))


async def _put(
    transaction: Transaction, found: Subscription, name: str | None, now_ms: int
) -> Subscription:
    changed = replace(found, next_plan=name)
    if found.reminded and now_ms < found.end_ms:
        changed = replace(changed, reminded=False, due_at_ms=now_ms)
    await store_subscription.put(transaction, changed)
    return changed
