"""Roles and leaves to look, as rows."""

from __future__ import annotations

from relayd.store import role
from relayd.store.db import Database
from tests.fakes.holders import two


async def test_given_listed_and_taken(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        assert await role.give(transaction, mine, "support", None, 5)
        assert not await role.give(transaction, mine, "support", other, 6)
        assert await role.give(transaction, mine, "legal", other, 7)
        assert await role.of_account(transaction, mine) == {"support", "legal"}
        assert await role.of_account(transaction, other) == frozenset()
        assert await role.listing(transaction) == [(mine, "legal", 7), (mine, "support", 5)]
        assert await role.take(transaction, mine, "legal")
        assert not await role.take(transaction, mine, "legal")


async def test_a_leave_to_look_ends(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        await role.reveal(transaction, mine, other, 10)
        assert await role.revealed(transaction, mine, other, 9)
        assert not await role.revealed(transaction, mine, other, 10)
        assert not await role.revealed(transaction, other, mine, 9)
        await role.reveal(transaction, mine, other, 20)
        assert await role.revealed(transaction, mine, other, 19)
        assert await role.sweep_reveals(transaction, 19) == 0
        assert await role.sweep_reveals(transaction, 20) == 1


async def test_a_leave_is_one_operator_s_for_one_account(db: Database) -> None:
    mine, other = await two(db)
    async with db.writing() as transaction:
        await role.reveal(transaction, mine, other, 10)
        for operator, account in ((other, other), (mine, mine), (other, mine), (mine, "acct_9")):
            assert not await role.revealed(transaction, operator, account, 9)
        await role.reveal(transaction, mine, mine, 5)
        assert await role.revealed(transaction, mine, other, 9)
        assert not await role.revealed(transaction, mine, mine, 9)
        await role.give(transaction, mine, "support", None, 5)
        assert not await role.take(transaction, other, "support")
        assert not await role.take(transaction, mine, "legal")
        assert await role.of_account(transaction, mine) == {"support"}
