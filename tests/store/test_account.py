"""Accounts as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.erasure import Erasure
from relayd.core.errors import RelayError
from relayd.store import account, erasure
from relayd.store.db import Database
from relayd.store.directory import StoreError

ANN = Account("acct_1", "Ann@Example.org", "Ann", "active", 5)
BOB = Account("acct_2", "bob@example.org", None, "suspended", 6)


async def test_rows_come_back_as_they_went(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, BOB)
        await account.insert(transaction, ANN)
    async with db.reading() as transaction:
        assert await account.page(transaction, "", 9) == [ANN, BOB]
        assert await account.names(transaction, ["acct_1", "acct_2", "x"]) == {"acct_1": "Ann"}
        assert await account.find(transaction, "acct_1") == ANN
        assert await account.find(transaction, " aNN@example.ORG ") == ANN
        assert await account.find(transaction, "acct_3") is None
        assert await account.get(transaction, "bob@example.org") == BOB
        with pytest.raises(RelayError) as caught:
            await account.get(transaction, "nobody@example.org")
    assert caught.value.code == "account_not_found"


async def test_an_address_in_another_case_is_the_same(db: Database) -> None:
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await account.insert(transaction, ANN)
            await account.insert(transaction, replace(BOB, email="ANN@example.org"))
    assert caught.value.code == "store_refused"


async def test_update_writes_every_column_that_may_change(db: Database) -> None:
    changed = replace(ANN, email="ann@new.example", name="A.", state="suspended")
    async with db.writing() as transaction:
        await account.insert(transaction, ANN)
        await account.update(transaction, changed)
        assert await account.find(transaction, "ann@new.example") == changed
        assert await account.find(transaction, "ann@example.org") is None


@pytest.mark.parametrize("account_row", [
    replace(ANN, state="erased"), replace(ANN, email=None, name=None),
    replace(ANN, email=None, state="erased"), replace(ANN, state="gone"),  # type: ignore[arg-type]
])
async def test_states_that_contradict_the_row_are_refused(
    db: Database, account_row: Account
) -> None:
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await account.insert(transaction, account_row)


async def test_one_without_its_key_does_not_hide_the_others(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, ANN)
        await account.insert(transaction, BOB)
    await db.keyring.destroy(ANN.id)
    async with db.reading() as transaction:
        shown = {each.id: each for each in await account.page(transaction, "", 9)}
        with pytest.raises(StoreError) as caught:
            await account.find(transaction, ANN.id)
    assert caught.value.code == "data_key_gone"
    assert shown[BOB.id] == BOB
    assert shown[ANN.id] == replace(ANN, email=None, name=None, username=None)


async def test_who_was_terminated_for_long_and_whose_erasure_nobody_asked_for(
    db: Database
) -> None:
    def asked(account_id: str, at_ms: int, state: str) -> Erasure:
        ended_at_ms = None if state == "cooling" else at_ms + 1
        return Erasure(f"era_{account_id}", account_id, "operator",
                       state, at_ms, at_ms, "terminated", ended_at_ms)  # type: ignore[arg-type]

    async with db.writing() as transaction:
        for number, (state, since_ms) in enumerate((
                ("terminated", 10), ("terminated", 11), ("active", 5), ("terminated", 9),
                ("terminated", 8), ("terminated", 7), ("terminated", 6))):
            await account.insert(transaction, Account(
                f"acct_{number}", f"{number}@example.org", None, state,  # type: ignore[arg-type]
                0, state_since_ms=since_ms))
        for each in (asked("acct_3", 11, "cancelled"), asked("acct_4", 10, "cancelled"),
                     asked("acct_5", 3, "cooling")):
            cooling = replace(each, state="cooling", ended_at_ms=None)
            await erasure.insert(transaction, cooling, each.id.encode().ljust(32))
            if each.state != "cooling":
                await erasure.end(transaction, each, None)
        assert await account.terminated(transaction, 10, "", 9) == ["acct_0", "acct_4", "acct_6"]
        assert await account.terminated(transaction, 10, "", 2) == ["acct_0", "acct_4"]
        assert await account.terminated(transaction, 10, "acct_0", 9) == ["acct_4", "acct_6"]
        assert await account.terminated(transaction, 5, "", 9) == []
        assert await account.counts(transaction) == {"terminated": 6, "active": 1}


async def test_who_can_be_read_no_more_is_nobody_to_whoever_goes_through_many(
    db: Database,
) -> None:
    async with db.writing() as transaction:
        for each in (ANN, BOB, replace(BOB, id="acct_4", email="d@example.org")):
            await account.insert(transaction, each)
        await transaction.run("UPDATE accounts SET email = zeroblob(40) WHERE id = 'acct_4'")
    await db.keyring.destroy(ANN.id)
    async with db.reading() as transaction:
        assert [await account.readable(transaction, each)
                for each in (ANN.id, BOB.id, "acct_3", "acct_4")] == [None, BOB, None, None]
        for gone, code, of in ((ANN.id, "data_key_gone", ANN), ("acct_4", "seal_broken", BOB)):
            with pytest.raises(StoreError) as caught:
                await account.find(transaction, gone)
            assert caught.value.code == code
            assert await account.known(transaction, gone) == replace(
                of, id=gone, email=None, name=None, username=None)
        assert await account.known(transaction, BOB.id) == BOB
        with pytest.raises(RelayError):
            await account.known(transaction, "acct_3")
        assert [each.email for each in await account.page(transaction, "", 9)] == [
            None, BOB.email, None]


async def test_a_state_is_written_without_what_is_sealed(db: Database) -> None:
    async with db.writing() as transaction:
        for each in (ANN, BOB):
            await account.insert(transaction, each)
        moved = replace(ANN, state="suspended", state_since_ms=9, reason="abuse")
        await account.set_state(transaction, replace(moved, email=None, name=None, country=None))
        assert await account.get(transaction, ANN.id) == moved
        assert await account.get(transaction, BOB.id) == BOB
