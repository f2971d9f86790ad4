"""Handovers as rows, and who goes along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import ACCOUNT_STATES, Account
from relayd.core.errors import RelayError
from relayd.core.handover import WINDOW_MS_MIN, Handover
from relayd.core.notice import Notice
from relayd.store import account, handover, notice
from relayd.store.db import Database

MADE = Handover("hand_1", "notice_1", "announced", "Buyer", "dpo@b.example", True, 5, 100)


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await notice.insert(transaction, Notice("notice_1", "transfer", {}, 5, 100, 5))
        await handover.insert(transaction, MADE)


async def test_what_is_kept_comes_back(db: Database) -> None:
    await kept(db)
    ended = replace(MADE, state="bundled", bundled_at_ms=101, accounts=2, bundle_sha256="ab" * 32)
    async with db.writing() as transaction:
        assert await handover.get(transaction, "hand_1") == MADE
        await handover.update(transaction, ended)
        assert await handover.listing(transaction) == [ended]
        with pytest.raises(RelayError):
            await handover.get(transaction, "hand_2")


async def test_S5_who_goes_along(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        for state in ACCOUNT_STATES:
            email = None if state == "erased" else f"{state}@example.org"
            await account.insert(transaction, Account(f"acct_{state}", email, None, state, 0))
        assert await handover.going(transaction, MADE) == ["acct_active", "acct_suspended"]
        await notice.answer(transaction, "notice_1", "acct_active", "objected", 7)
        assert await handover.going(transaction, MADE) == ["acct_suspended"]


async def test_mails_that_wait(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        assert await handover.unsent(transaction, MADE) == 1
        await notice.progress(transaction, "notice_1", "", 9)
        assert await handover.unsent(transaction, MADE) == 0
        assert await handover.unsent(transaction, replace(MADE, notice="none")) == 1


@pytest.mark.parametrize(("announced", "ends", "latest"), [
    (1000, 1000 + WINDOW_MS_MIN, 1000), (1000, 1000 + 2 * WINDOW_MS_MIN, 1000 + WINDOW_MS_MIN),
])
async def test_S5_whoever_had_the_least_time_to_object_goes_along(
    db: Database, announced: int, ends: int, latest: int
) -> None:
    made = replace(MADE, announced_at_ms=announced, window_ends_ms=ends)
    async with db.writing() as transaction:
        for name, at_ms in (("a", latest - 1), ("b", latest), ("c", latest + 1)):
            await account.insert(transaction, Account(
                name, f"{name}@example.org", None, "active", at_ms))
        assert await handover.going(transaction, made) == ["a", "b"]


async def test_what_a_notice_announces(db: Database) -> None:
    await kept(db)
    async with db.writing() as transaction:
        assert await handover.stands_on(transaction, "notice_1")
        assert not await handover.stands_on(transaction, "notice_2")
        assert await handover.get(transaction, " hand_1 ") == MADE
        await handover.update(transaction, replace(MADE, state="cancelled"))
        assert not await handover.stands_on(transaction, "notice_1")
