"""Companies: marked by an operator, and only then is anything stored (I4)."""

from __future__ import annotations

import pytest

from relayd.control import audit, enterprise
from relayd.core.actor import SHELL
from relayd.core.enterprise import Enterprise
from relayd.core.errors import RelayError
from relayd.store import account as store_account
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.control.test_closing import people
from tests.fakes.erased import erase

PROFILE = Enterprise("买方公司", "9144030071526726XG", phone="010-1234567")


async def test_I4_a_person_s_account_stores_no_company(db: Database) -> None:
    [one] = await people(db, 1)
    with pytest.raises(RelayError) as caught:
        await enterprise.change(db, SHELL, one, PROFILE, 1)
    assert caught.value.code == "not_enterprise"
    assert await enterprise.find(db, one) is None
    assert enterprise.view(None) == {"marked": False, "profile": None}


async def test_marked_changed_and_unmarked(db: Database) -> None:
    [one] = await people(db, 1)
    assert await enterprise.mark(db, SHELL, one, 1) == one
    async with db.reading() as transaction:
        assert await enterprise.buyer(transaction, one) == {"name": one}
    with pytest.raises(RelayError) as caught:
        await enterprise.change(db, SHELL, one, Enterprise("x", "1"), 2)
    assert caught.value.code == "invalid_uscc"
    assert await enterprise.change(db, SHELL, one, PROFILE, 2) == PROFILE
    async with db.reading() as transaction:
        assert await enterprise.buyer(transaction, one, shown=False) == {
            "name": "买方公司", "uscc": "9144030071526726XG"}
    assert await enterprise.unmark(db, SHELL, one, 3) == one
    assert await enterprise.find(db, one) is None
    assert [(entry.event.action, entry.event.at_ms) async for entry in audit.listing(
        db, target=one)][1:] == [
        ("enterprise.mark", 1), ("enterprise.change", 2), ("enterprise.unmark", 3)]


async def test_nobody_who_is_erased_is_an_enterprise(db: Database) -> None:
    [one] = await people(db, 1)
    await erase(db, one, 1)
    with pytest.raises(RelayError) as caught:
        await enterprise.mark(db, SHELL, one, 1)
    assert caught.value.code == "account_state" and await enterprise.find(db, one) is None


@pytest.mark.parametrize("lost", ["key", "column"])
async def test_who_can_be_read_no_more_is_named_by_their_id(db: Database, lost: str) -> None:
    [one] = await people(db, 1)
    await enterprise.mark(db, SHELL, one, 1)
    await enterprise.change(db, SHELL, one, PROFILE, 2)
    if lost == "key":
        await db.keyring.destroy(one)
    else:
        async with db.writing() as transaction:
            await transaction.run("UPDATE enterprises SET profile = zeroblob(60)")
    async with db.reading() as transaction:
        assert await enterprise.buyer(transaction, one) == {"name": one}


async def test_a_store_that_fails_gives_no_document_a_buyer(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreError("store_busy")

    [one] = await people(db, 1)
    monkeypatch.setattr(store_account, "get", fails)
    async with db.reading() as transaction:
        with pytest.raises(StoreError):
            await enterprise.buyer(transaction, one)
