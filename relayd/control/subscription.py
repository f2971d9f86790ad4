"""Plans and subscriptions: choose, change, cancel, renew, and what becomes of a fee that cannot be
paid.

Law: a fee is paid from the balance or not at all, in the transaction that starts its period. A
change within a period gives back the unused part of the old fee first, by the time or by the
allowance that is left, whichever is less (core/plan.py), and ends what is left of the allowance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from relayd.control import audit, grant, mail, wallet
from relayd.core.actor import SYSTEM, Actor
from relayd.core.errors import RelayError
from relayd.core.grant import spent
from relayd.core.money import decimal
from relayd.core.plan import DEFAULT, Plan, kept, period_end, unspent, unused
from relayd.core.posting import LedgerAccount, move
from relayd.core.subscription import (
    REMINDER_MS, Subscription, SubscriptionMove, advance, next_try_ms,
)
from relayd.core.timestamp import rfc3339
from relayd.store import account as store_account
from relayd.store import grant as store_grant
from relayd.store import posting as store_posting
from relayd.store import subscription as store_subscription
from relayd.store import wallet as store_wallet
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.meta import bump_policy_version
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Transaction

DUE_AT_ONCE: Final = 100
UNREAD_MS: Final = 3_600_000
"""When one is looked at again whose account cannot be read."""
_GONE: Final = frozenset({"closing", "terminated", "erased"})
"""States of accounts whose subscriptions end without a word."""
Plans = Mapping[str, Plan]


async def plans_of(db: Database, among: Sequence[str] | None = None) -> dict[str, str]:
    """The plan of every account, or of each of these, that has another than the default one."""
    async with db.reading() as transaction:
        return await store_subscription.plans(transaction, among)


async def assign(db: Database, who: str, plan: str | None, plans: Plans, now_ms: int,
                 actor: Actor) -> None:
    """An operator gives an account a plan without a fee; None: the default one.

    Raises `plan_not_found`, or `subscription_state` where a subscription is under way.
    """
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        if plan is not None and (plan not in plans or plans[plan].period):
            raise RelayError("plan_not_found", param="plan")
        present = await store_subscription.find(transaction, account.id)
        if present is not None and present.state != "ended":
            raise RelayError("subscription_state", param="plan")
        await _set_plan(transaction, account.id, plan)
        await audit.append(transaction, actor, "plan.change", account.id, now_ms,
                           details={"plan": plan or DEFAULT})


async def _set_plan(transaction: Transaction, account_id: str, plan: str | None) -> None:
    await store_subscription.set_plan(transaction, account_id, plan)
    await bump_policy_version(transaction)


async def counts(db: Database) -> dict[tuple[str, str], int]:
    """How many accounts have a plan, by its name and their subscription's state ('': none)."""
    async with db.reading() as transaction:
        return await store_subscription.counts(transaction)


async def find(db: Database, account_id: str) -> Subscription | None:
    """An account's subscription, also one that has ended."""
    async with db.reading() as transaction:
        return await store_subscription.find(transaction, account_id)


async def subscribe(
    db: Database, account_id: str, name: str, plans: Plans, now_ms: int, actor: Actor,
) -> Subscription:
    """Start a subscription, or change to this one now. Pays the fee from the balance.

    Raises `plan_not_found`, `balance_short`; `subscription_state` for the plan that one has.
    """
    plan = plans.get(name)
    if plan is None or plan.period is None:
        raise RelayError("plan_not_found", param="plan")
    left, anchor = 0, datetime.fromtimestamp(now_ms // 1000, UTC).day
    async with db.writing() as transaction:
        present = await store_subscription.find(transaction, account_id)
        if present is not None and present.state != "ended":
            if present.plan == name and present.version == plan.version:
                raise RelayError("subscription_state", param="plan")
            left = await _leave(transaction, present, plan, now_ms)
        made = await _begin(transaction, account_id, plan, now_ms, anchor, left)
        await _set_plan(transaction, account_id, name)
        await audit.append(transaction, actor, "plan.change", account_id, now_ms,
                           details={"plan": name, "version": plan.version})
    return made


@dataclass(frozen=True, slots=True)
class Quote:
    """What starting a plan now comes to: `back_nano` of the old fee is unused (`back_currency`),
    `ends_nano` of the old allowance ends, `given_nano` is new, `has_nano` is to pay from."""

    plan: Plan
    back_nano: int
    back_currency: str
    ends_nano: int
    given_nano: int
    has_nano: int
    ends_ms: int

    @property
    def short_nano(self) -> int:
        """What is missing to pay the fee; 0: nothing."""
        back = self.back_nano if self.back_currency == self.plan.currency else 0
        return max(0, self.plan.fee_nano - self.has_nano - back)


async def quote(
    db: Database, account_id: str, name: str, plans: Plans, now_ms: int,
) -> Quote:
    """What `subscribe` would do, to the nano, if it came now. Raises `plan_not_found`, and
    `subscription_state` for the plan that one has."""
    plan = plans.get(name)
    if plan is None or plan.period is None:
        raise RelayError("plan_not_found", param="plan")
    back, back_currency, goes_on = 0, plan.currency, 0
    async with db.reading() as transaction:
        found = await store_subscription.find(transaction, account_id)
        if found is not None and found.state != "ended":
            if (found.plan, found.version) == (name, plan.version):
                raise RelayError("subscription_state", param="plan")
            old = await store_subscription.terms(transaction, found.plan, found.version)
            back_currency = old.currency
            _, left = await _ahead(transaction, account_id, old.currency)
            back, goes_on = _back(found, old, left, now_ms), kept(old, plan, left)
        paid = await store_posting.balance(
            transaction, LedgerAccount("balance", account_id, plan.currency))
        owed, ends = await _ahead(transaction, account_id, plan.currency)
        given = await grant.allowance(transaction, account_id, plan, goes_on, now_ms)
    end_ms = period_end(now_ms, datetime.fromtimestamp(now_ms // 1000, UTC).day, plan.period)
    return Quote(plan, back, back_currency, ends, given, paid - owed, end_ms)


async def _ahead(transaction: Transaction, account_id: str, currency: str) -> tuple[int, int]:
    """Once every stored call is charged: what that takes of the balance, and the allowance that
    it leaves."""
    due = await store_wallet.due(transaction, 100, account_id)
    grants = await store_grant.left(transaction, account_id, currency)
    used = sum(each.used_nano - each.charged_nano for each in due if each.currency == currency)
    gone = min(used, sum(each.left_nano for each in grants))
    taken = {each.id: part for each, part in spent(grants, gone)}
    return used - gone, sum(each.left_nano - taken.get(each.id, 0) for each in grants
                            if each.source == "subscription")


def _back(old: Subscription, plan: Plan, left_nano: int, now_ms: int) -> int:
    """What of a fee that was paid comes back; `left_nano` of the allowance is there."""
    if old.state == "past_due":
        return 0
    return min(unused(plan.fee_nano, old.start_ms, old.end_ms, now_ms),
               unspent(plan.fee_nano, plan.allowance_nano, left_nano))


async def _leave(transaction: Transaction, old: Subscription, new: Plan, now_ms: int) -> int:
    """Give back what of the old fee is unused, and end its allowance; what of that goes on."""
    await wallet.charge_account(transaction, old.account, now_ms)
    plan = await store_subscription.terms(transaction, old.plan, old.version)
    allowed = await store_grant.of_source(transaction, old.account, "subscription")
    left = sum(each.left_nano for each in allowed if each.currency == plan.currency)
    back = _back(old, plan, left, now_ms)
    if back and not await store_posting.post(transaction, move(
            "proration", f"proration:{old.account}:{old.start_ms}:{old.plan}", back,
            plan.currency, account=old.account), now_ms):
        raise RelayError("subscription_state", param="plan")
    for each in allowed:
        await grant.end(transaction, each, now_ms)
    return kept(plan, new, left)


async def _begin(
    transaction: Transaction, account_id: str, plan: Plan, start_ms: int, anchor_day: int,
    left_nano: int,
) -> Subscription:
    """A period: its fee paid, its allowance given. Raises `balance_short`."""
    assert plan.period is not None
    await store_subscription.keep_version(transaction, plan, start_ms)
    end_ms = period_end(start_ms, anchor_day, plan.period)
    if not await _pay(transaction, account_id, plan, start_ms, start_ms):
        # the same plan began in this very millisecond: its fee would pay for two allowances
        raise RelayError("subscription_state", param="plan")
    await grant.allow(transaction, account_id, plan, end_ms, start_ms, left_nano)
    made = Subscription(
        account=account_id, plan=plan.name, version=plan.version, state="active",
        anchor_day=anchor_day, start_ms=start_ms, end_ms=end_ms, due_at_ms=end_ms - REMINDER_MS)
    await store_subscription.put(transaction, made)
    return made


async def _pay(
    transaction: Transaction, account_id: str, plan: Plan, start_ms: int, now_ms: int,
) -> bool:
    """The fee of the period that starts then, from money alone: credit that was given, or that an
    account may owe, pays for no fee. False where it was paid before."""
    if not plan.fee_nano:
        return True
    await wallet.charge_account(transaction, account_id, now_ms)
    has = await store_posting.balance(
        transaction, LedgerAccount("balance", account_id, plan.currency))
    if has < plan.fee_nano:
        raise RelayError("balance_short", param="plan")
    return await store_posting.post(transaction, move(
        "subscription", f"subscription:{account_id}:{start_ms}:{plan.name}", plan.fee_nano,
        plan.currency, account=account_id), now_ms)


async def _step(
    db: Database, account_id: str, step: SubscriptionMove, now_ms: int, actor: Actor,
) -> Subscription:
    async with db.writing() as transaction:
        found = await store_subscription.find(transaction, account_id)
        if found is None:
            raise RelayError("subscription_state")
        moved = replace(found, state=advance(found.state, step),
                        next_plan=None if step == "cancel" else found.next_plan)
        if moved.state == "ended":
            await _end(transaction, moved, now_ms)
        else:
            await store_subscription.put(transaction, moved)
        await audit.append(transaction, actor, f"subscription.{step}", account_id, now_ms)
    return moved


async def cancel(db: Database, account_id: str, now_ms: int, actor: Actor) -> Subscription:
    """End it with its period; a fee that is due is not asked for again."""
    return await _step(db, account_id, "cancel", now_ms, actor)


async def keep(db: Database, account_id: str, now_ms: int, actor: Actor) -> Subscription:
    """Let it go on after all."""
    return await _step(db, account_id, "keep", now_ms, actor)


async def _end(transaction: Transaction, ended: Subscription, now_ms: int) -> None:
    await store_subscription.put(transaction, replace(ended, state="ended", due_at_ms=now_ms))
    await _set_plan(transaction, ended.account, None)


async def run_due(db: Database, plans: Plans, link: str, now_ms: int) -> int:
    """Remind, renew, ask again, end: all for which it is time. Returns how many there were.

    `link` is the console's page of plans. A subscription that fails is left to the next run alone.
    """
    async with db.reading() as transaction:
        found = await store_subscription.due(transaction, now_ms, DUE_AT_ONCE)
    for each in found:
        try:
            async with db.writing() as transaction:
                await _do(transaction, each.account, plans, link, now_ms)
        except StoreError as error:
            # accounts that can be read no more keep no other waiting, however many they are
            if error.code not in UNREADABLE:
                raise
            async with db.writing() as transaction:
                await store_subscription.put_off(transaction, each.account, now_ms + UNREAD_MS)
    return len(found)


async def _do(transaction: Transaction, who: str, plans: Plans, link: str, now_ms: int) -> None:
    """What is still due of one: another process may have done it."""
    present = await store_subscription.find(transaction, who)
    if present is None or present.state == "ended" or present.due_at_ms > now_ms:
        return
    account = await store_account.get(transaction, present.account)
    if account.state in _GONE:
        await _end(transaction, present, now_ms)
    else:
        await _run(transaction, present, plans, link, now_ms)


async def _run(
    transaction: Transaction, found: Subscription, plans: Plans, link: str, now_ms: int,
) -> None:
    if found.state == "past_due":
        await _ask_again(transaction, found, link, now_ms)
    elif now_ms < found.end_ms:
        await _remind(transaction, found, plans, link, now_ms)
    elif found.state == "ending":
        await _over(transaction, found, link, now_ms)
    else:
        await _renew(transaction, found, plans, link, now_ms)


def _following(found: Subscription, plans: Plans) -> Plan | None:
    plan = plans.get(found.next_plan or found.plan)
    return plan if plan is not None and plan.period is not None else None


async def _remind(
    transaction: Transaction, found: Subscription, plans: Plans, link: str, now_ms: int,
) -> None:
    plan = _following(found, plans)
    if found.state == "active" and plan is not None:
        await mail.post(transaction, "subscription_renews", found.account, {
            "plan": plan.title or plan.name, "at": rfc3339(found.end_ms)[:10], "link": link,
            "amount": f"{decimal(plan.fee_nano, 2)} {plan.currency}"}, now_ms)
    await store_subscription.put(transaction, replace(
        found, reminded=True, due_at_ms=found.end_ms))


async def _over(
    transaction: Transaction, found: Subscription, link: str, now_ms: int,
) -> None:
    await _end(transaction, replace(found, state=advance(found.state, "end")), now_ms)
    await mail.post(transaction, "subscription_ended", found.account, {
        "plan": found.plan, "at": rfc3339(now_ms)[:10], "link": link}, now_ms)
    await audit.append(transaction, SYSTEM, "subscription.end", found.account, now_ms)


async def _renew(
    transaction: Transaction, found: Subscription, plans: Plans, link: str, now_ms: int,
) -> None:
    """The next period, under the plan's terms of today. Where the fee cannot be paid it has begun
    all the same, without its allowance."""
    plan = _following(found, plans)
    if plan is None:  # it is offered no more
        await _over(transaction, found, link, now_ms)
        return
    start_ms = found.end_ms
    assert plan.period is not None
    await store_subscription.keep_version(transaction, plan, now_ms)
    begun = Subscription(
        account=found.account, plan=plan.name, version=plan.version,
        state=advance(found.state, "renew"), anchor_day=found.anchor_day, start_ms=start_ms,
        end_ms=period_end(start_ms, found.anchor_day, plan.period),
        due_at_ms=start_ms)
    if plan.name != found.plan:
        await _set_plan(transaction, found.account, plan.name)
    await _settle(transaction, begun, plan, link, now_ms)


async def _settle(
    transaction: Transaction, begun: Subscription, plan: Plan, link: str, now_ms: int,
) -> None:
    """Pays the fee of a period that has begun, or notes that it could not be paid."""
    try:
        await _pay(transaction, begun.account, plan, begun.start_ms, now_ms)
    except RelayError as error:
        if error.code != "balance_short":
            raise
        await _failed(transaction, begun, plan, link, now_ms)
        return
    await grant.allow(transaction, begun.account, plan, begun.end_ms, now_ms)
    state = "active" if begun.state == "active" else advance(begun.state, "pay")
    await store_subscription.put(transaction, replace(
        begun, state=state, tries=0,
        due_at_ms=max(begun.end_ms - REMINDER_MS, begun.start_ms + 1)))


async def _failed(
    transaction: Transaction, begun: Subscription, plan: Plan, link: str, now_ms: int,
) -> None:
    tries = begun.tries + 1
    again_ms = next_try_ms(begun.start_ms, tries, now_ms)
    if again_ms is None:
        await _over(transaction, begun, link, now_ms)
        return
    await mail.post(transaction, "fee_unpaid", begun.account, {
        "plan": plan.title or plan.name, "at": rfc3339(again_ms)[:10], "link": link,
        "amount": f"{decimal(plan.fee_nano, 2)} {plan.currency}"}, now_ms)
    await store_subscription.put(transaction, replace(
        begun, state=advance(begun.state, "fail"), tries=tries, due_at_ms=again_ms))


async def _ask_again(
    transaction: Transaction, found: Subscription, link: str, now_ms: int,
) -> None:
    plan = await store_subscription.terms(transaction, found.plan, found.version)
    await _settle(transaction, found, plan, link, now_ms)


def view(found: Subscription) -> dict[str, object]:
    """A subscription as JSON shows it."""
    return {
        "plan": found.plan, "version": found.version, "state": found.state,
        "started_at": rfc3339(found.start_ms), "ends_at": rfc3339(found.end_ms),
        "next_plan": found.next_plan,
    }
