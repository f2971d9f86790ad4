"""Grants and codes as rows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from relayd.core.account import Account
from relayd.core.grant import Grant
from relayd.core.posting import move
from relayd.store import account, grant, posting
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.grant import Code

ONE = Grant("grant_1", "acct_1", "USD", 100, 100, "code", 5, 50)
CODE = Code("code_1", "USD", 100, 2, 5, None, 30)


async def test_rows_come_back_and_are_spent(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
        await grant.insert(transaction, ONE)
        assert await grant.left(transaction, "acct_1", "USD") == [ONE]
        assert await grant.left(transaction, "acct_1", "EUR") == []
        await grant.take(transaction, "grant_1", 60)
        assert await grant.of_source(transaction, "acct_1", "code") == [replace(ONE, left_nano=40)]
        assert await grant.expired(transaction, 49, 9) == []
        assert await grant.expired(transaction, 50, 9) == [replace(ONE, left_nano=40)]
        await grant.take(transaction, "grant_1", 40)
        assert await grant.expired(transaction, 50, 9) == []
        assert await grant.listing(transaction, "acct_1") == [replace(ONE, left_nano=0)]


async def test_no_more_is_taken_than_there_is(db: Database) -> None:
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
            await grant.insert(transaction, ONE)
            await grant.take(transaction, "grant_1", 101)


async def test_what_the_ledger_does_not_have_is_found(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@b", None, "active", 1))
        await grant.insert(transaction, ONE)
        assert await grant.wrong(transaction) == [("acct_1", "USD", 0, 100)]


async def test_a_code_is_used_once_by_each(db: Database) -> None:
    async with db.writing() as transaction:
        await grant.insert_code(transaction, CODE, b"d" * 32)
        assert await grant.find_code(transaction, b"d" * 32) == CODE
        assert await grant.find_code(transaction, b"e" * 32) is None
        assert await grant.use_code(transaction, "code_1", "acct_1", 6)
        assert not await grant.use_code(transaction, "code_1", "acct_1", 7)
        assert await grant.codes(transaction) == [CODE._replace(uses_left=1)]
        assert await grant.end_code(transaction, "code_1")
        assert not await grant.end_code(transaction, "code_2")


@pytest.mark.parametrize("seed", range(3))
async def test_a_grant_is_its_account_s_and_spent_by_itself(db: Database, seed: int) -> None:
    dice = Random(seed)
    made: dict[str, Grant] = {}
    async with db.writing() as transaction:
        for name in ("a", "b"):
            await account.insert(transaction, Account(name, f"{name}@c", None, "active", 1))
        for number in range(30):
            nano = dice.randrange(1, 9)
            each = Grant(
                f"grant_{number:02}", dice.choice("ab"), dice.choice(("CNY", "USD")), nano, nano,
                dice.choice(("code", "subscription")), dice.randrange(9),
                dice.choice((None, 10, 20, 30)))
            made[each.id] = each
            await grant.insert(transaction, each)
        for each in [*made.values()]:
            taken = dice.choice((0, 1, each.left_nano))
            await grant.take(transaction, each.id, taken)
            made[each.id] = replace(each, left_nano=each.left_nano - taken)
        newest = sorted(made.values(), key=lambda one: (one.created_at_ms, one.id), reverse=True)
        for name in "abc":
            mine = [one for one in newest if one.account == name]
            assert await grant.listing(transaction, name) == mine
            for currency in ("CNY", "USD"):
                left = await grant.left(transaction, name, currency)
                assert sorted(left, key=lambda one: one.id) == sorted(
                    (one for one in mine if one.currency == currency and one.left_nano),
                    key=lambda one: one.id)
            for source in ("code", "subscription"):
                found = await grant.of_source(transaction, name, source)
                assert {one.id for one in found} == {
                    one.id for one in mine if one.source == source and one.left_nano}
        for each in made.values():
            assert await grant.find(transaction, each.id) == each
        assert await grant.find(transaction, "grant_99") is None
        gone = await grant.expired(transaction, 20, 99)
        assert {one.id for one in gone} == {one.id for one in made.values()
                                            if one.left_nano and (one.expires_at_ms or 99) <= 20}
        assert [one.expires_at_ms for one in gone] == sorted(
            one.expires_at_ms or 0 for one in gone)
        assert await grant.latest(transaction, 5) == [
            one for one in newest if one.source != "subscription"][:5]


async def test_one_code_s_uses_are_no_other_s(db: Database) -> None:
    other = CODE._replace(id="code_2", uses_left=5)
    async with db.writing() as transaction:
        await grant.insert_code(transaction, CODE, b"d" * 32)
        await grant.insert_code(transaction, other, b"e" * 32)
        assert await grant.use_code(transaction, "code_1", "acct_1", 6)
        assert await grant.use_code(transaction, "code_2", "acct_1", 6)
        assert await grant.use_code(transaction, "code_2", "acct_2", 6)
        assert await grant.codes(transaction) == [
            other._replace(uses_left=3), CODE._replace(uses_left=1)]
        assert await grant.end_code(transaction, "code_1")
        assert [code.uses_left for code in await grant.codes(transaction)] == [3, 0]


async def test_what_the_ledger_and_the_grants_say_is_compared_by_account(db: Database) -> None:
    async with db.writing() as transaction:
        for number, (name, currency, nano) in enumerate((
                ("a", "USD", 100), ("a", "CNY", 7), ("b", "USD", 5))):
            if currency == "USD":
                await account.insert(transaction, Account(name, f"{name}@c", None, "active", 1))
            await posting.post(transaction, move(
                "grant", f"g{number}", nano, currency, account=name), 1)
            await grant.insert(transaction, Grant(
                f"g{number}", name, currency, nano, nano, "code", 1, None))
        assert await grant.wrong(transaction) == []
        await grant.take(transaction, "g1", 3)
        await posting.post(transaction, move("grant", "g9", 1, "EUR", account="b"), 1)
        assert sorted(await grant.wrong(transaction)) == [
            ("a", "CNY", 7, 4), ("b", "EUR", 1, 0)]


async def test_an_allowance_is_known_until_its_period_ends(db: Database) -> None:
    async with db.writing() as transaction:
        for name in ("a", "b"):
            await account.insert(transaction, Account(name, f"{name}@c", None, "active", 1))
        # what is spent was given all the same; what a code gave is no allowance
        await grant.insert(transaction, replace(
            ONE, account="a", source="subscription", left_nano=0))
        await grant.insert(transaction, replace(ONE, id="grant_2", account="b"))
        asked = [("a", 100, "USD", 49), ("a", 100, "USD", 50), ("a", 99, "USD", 49),
                 ("a", 100, "CNY", 49), ("b", 100, "USD", 49)]
        assert [await grant.was_allowed(transaction, *each) for each in asked] == [
            True, False, False, False, False]
