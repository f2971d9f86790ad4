"""Notices, how far their mails are queued, and what holders answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.notice import Notice
from relayd.store import account, notice
from relayd.store.db import Database

ONE = Notice("notice_1", "transfer", {"recipient": "Other Co."}, 10, 100, 5)


async def test_a_notice_from_its_start_to_its_end(db: Database) -> None:
    async with db.writing() as transaction:
        await notice.insert(transaction, ONE)
        assert await notice.get(transaction, "notice_1") == ONE
        assert await notice.shown(transaction, 9) == []
        assert await notice.shown(transaction, 10) == await notice.listing(transaction, 9) == [ONE]
        await notice.end(transaction, "notice_1", 50)
        assert await notice.shown(transaction, 50) == []
        with pytest.raises(RelayError):
            await notice.get(transaction, "notice_2")


async def test_mails_are_queued_account_by_account(db: Database) -> None:
    async with db.writing() as transaction:
        for number, state in enumerate(("active", "unverified", "suspended", "active", "erased")):
            email = None if state == "erased" else f"{number}@example.org"
            await account.insert(transaction, Account(
                f"acct_{number}", email, None, state, number))  # type: ignore[arg-type]
        await notice.insert(transaction, ONE)
        assert await notice.recipients(transaction, "", 99, 2) == ["acct_0", "acct_2"]
        assert await notice.recipients(transaction, "acct_2", 99, 2) == ["acct_3"]
        assert await notice.recipients(transaction, "", 1, 9) == ["acct_0"]
        assert await notice.unmailed(transaction, 9) is None
        assert await notice.unmailed(transaction, 10) == ONE
        await notice.progress(transaction, "notice_1", "acct_2", None)
        found = await notice.unmailed(transaction, 10)
        assert found is not None and found.mailed_to == "acct_2"
        await notice.progress(transaction, "notice_1", "acct_3", 60)
        assert await notice.unmailed(transaction, 70) is None


async def test_S5_an_answer_replaces_the_one_before(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        await notice.insert(transaction, ONE)
        assert await notice.answered(transaction, "notice_1", "acct_1") is None
        await notice.answer(transaction, "notice_1", "acct_1", "objected", 20)
        assert await notice.answered(transaction, "notice_1", "acct_1") == "objected"
        await notice.answer(transaction, "notice_1", "acct_1", "agreed", 30)
        assert await notice.answered(transaction, "notice_1", "acct_1") == "agreed"


async def test_an_end_is_never_before_the_start_nor_after_what_it_was(db: Database) -> None:
    async with db.writing() as transaction:
        for number in range(4):
            await notice.insert(transaction, replace(ONE, id=f"notice_{number}"))
        await notice.progress(transaction, "notice_3", "acct_9", 30)
        for number, now_ms, ends_ms, mailed_ms in (
                (0, 5, 11, 5), (1, 50, 50, 50), (2, 500, 100, 500), (3, 40, 40, 30)):
            await notice.end(transaction, f"notice_{number}", now_ms)
            found = await notice.get(transaction, f"notice_{number}")
            assert (found.ends_at_ms, found.mailed_at_ms) == (ends_ms, mailed_ms)


async def test_S5_each_holder_answers_for_themselves_and_to_one_notice(db: Database) -> None:
    async with db.writing() as transaction:
        for name in ("acct_1", "acct_2"):
            await account.insert(transaction, Account(
                name, f"{name}@example.org", None, "active", 0))
        for name in ("notice_1", "notice_2"):
            await notice.insert(transaction, replace(ONE, id=name))
        await notice.answer(transaction, "notice_1", "acct_2", "objected", 20)
        assert await notice.answered(transaction, "notice_1", "acct_1") is None
        assert await notice.answered(transaction, "notice_2", "acct_2") is None
        assert await notice.answered(transaction, "notice_1", "acct_2") == "objected"
