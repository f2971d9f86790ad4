"""What the store knows of itself: numbers that only grow, words that come and go."""

from __future__ import annotations

import pytest

from relayd.store.db import Database
from relayd.store.meta import (
    KEPT_VERSIONS, PolicyChanges, bump_policy_version, policy_changes, policy_version,
    set_swept_ms, set_word, swept_ms, word,
)


async def test_it_grows_with_the_transaction_that_bumps_it(db: Database) -> None:
    async with db.reading() as transaction:
        before = await policy_version(transaction)
    async with db.writing() as transaction:
        await bump_policy_version(transaction)
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await bump_policy_version(transaction)
            raise ZeroDivisionError
    async with db.reading() as transaction:
        assert await policy_version(transaction) == before + 1


async def test_changes_of_old_versions_go(db: Database) -> None:
    async with db.writing() as transaction:
        now = await policy_version(transaction)
        for version in range(now, now + 4):
            await transaction.run(
                "INSERT INTO policy_changes (version, account_id, key_id) VALUES (?, 'a', ?)",
                (version + 1 - KEPT_VERSIONS, str(version)))
        await bump_policy_version(transaction)
        left = await transaction.rows("SELECT version FROM policy_changes ORDER BY version")
        assert [row[0] for row in left] == [now + n - KEPT_VERSIONS for n in (2, 3, 4)]


@pytest.mark.parametrize(("since", "most", "found"), [
    (2, 9, PolicyChanges(["a"], ["k2"], ["a", "b"])), (1, 3, None), (5, 9, None),
    (1, 4, PolicyChanges(["a"], ["k1", "k2", "k3"], ["a", "b"])),
    (4, 9, PolicyChanges([], [], [])), (3, 0, None), (4, 0, PolicyChanges([], [], [])),
    (4 - KEPT_VERSIONS, 9, PolicyChanges(["a"], ["k1", "k2", "k3"], ["a", "b"])),
    (3 - KEPT_VERSIONS, 9, None),
])
async def test_what_changed_since(
    db: Database, since: int, most: int, found: PolicyChanges | None
) -> None:
    async with db.writing() as transaction:
        await transaction.run("DELETE FROM policy_changes")
        await transaction.many(
            "INSERT INTO policy_changes (version, account_id, key_id) VALUES (?, ?, ?)",
            [(2, "a", "k1"), (2, "b", "k3"), (3, "b", "k2"), (4, "a", "")])
        changes = await policy_changes(transaction, since, 4, most)
        assert (changes and PolicyChanges(*map(sorted, changes))) == found


async def test_the_moment_that_was_swept_to_only_grows(db: Database) -> None:
    async with db.writing() as transaction:
        assert await swept_ms(transaction) == 0
        for moment, then in ((5, 5), (3, 5), (7, 7)):
            await set_swept_ms(transaction, moment)
            assert await swept_ms(transaction) == then


async def test_words_are_kept_by_name(db: Database) -> None:
    async with db.writing() as transaction:
        assert await word(transaction, "restored") is None
        for name in ("restored", "master_rotator"):
            await set_word(transaction, name, f"{name} 1")
        await set_word(transaction, "restored", "again")
        assert await word(transaction, "restored") == "again"
        await set_word(transaction, "restored", None)
        assert await word(transaction, "restored") is None
        assert await word(transaction, "master_rotator") == "master_rotator 1"
