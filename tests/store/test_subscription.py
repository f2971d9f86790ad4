"""Subscriptions and plans as rows; the terms of a version never change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.plan import Plan
from relayd.core.subscription import Subscription
from relayd.store import account, limit, subscription
from relayd.store.db import Database
from relayd.store.directory import StoreError

PLAN = Plan("team", 1_100_000, {"a*": 2}, period="month", fee_nano=10)
ONE = Subscription("acct_1", "team", PLAN.version, "active", 15, 100, 200, 150)


async def test_rows_come_back_as_they_went(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
        for _ in range(2):
            await subscription.keep_version(transaction, PLAN, 5)
        await subscription.put(transaction, ONE)
        assert await subscription.find(transaction, "acct_1") == ONE
        assert await subscription.terms(transaction, "team", PLAN.version) == PLAN
        assert await subscription.due(transaction, 149, 9) == []
        assert await subscription.due(transaction, 150, 9) == [ONE]
        later = replace(ONE, state="ended", reminded=True, next_plan="x", tries=2)
        await subscription.put(transaction, later)
        assert await subscription.find(transaction, "acct_1") == later
        assert await subscription.due(transaction, 150, 9) == []
        other = replace(PLAN, name="crew", fee_nano=20)
        await subscription.keep_version(transaction, other, 5)
        anew = Subscription("acct_1", "crew", other.version, "past_due", 16, 300, 400, 350, 2)
        await subscription.put(transaction, anew)
        assert await subscription.find(transaction, "acct_1") == anew
        assert await subscription.terms(transaction, "crew", other.version) == other


async def test_what_is_put_off_is_of_one_account(db: Database) -> None:
    async with db.writing() as transaction:
        await subscription.keep_version(transaction, PLAN, 5)
        for name in ("acct_1", "acct_2"):
            await account.insert(transaction, Account(name, f"{name}@b", None, "active", 1))
            await subscription.put(transaction, replace(ONE, account=name))
        await subscription.put_off(transaction, "acct_1", 900)
        assert await subscription.due(transaction, 899, 9) == [replace(ONE, account="acct_2")]
        assert await subscription.due(transaction, 900, 1) == [replace(ONE, account="acct_2")]
        assert await subscription.find(transaction, "acct_1") == replace(ONE, due_at_ms=900)


async def test_terms_are_never_changed(db: Database) -> None:
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await subscription.keep_version(transaction, PLAN, 5)
            await transaction.run("UPDATE plan_versions SET since_ms = 6")


async def test_a_subscription_names_terms_that_are_kept(db: Database) -> None:
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
            await subscription.put(transaction, ONE)


async def test_accounts_have_plans(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
        await subscription.set_plan(transaction, "acct_1", "a")
        await subscription.set_plan(transaction, "acct_1", "b")
        assert await subscription.plans(transaction) == {"acct_1": "b"}
        # whatever else of the account was changed with it
        await limit.put(transaction, "account", "acct_1", {"concurrent": 1})
        await subscription.set_plan(transaction, "acct_1", "c")
        assert await subscription.plans(transaction) == {"acct_1": "c"}
        await subscription.set_plan(transaction, "acct_1", None)
        assert await subscription.plans(transaction) == {}
