"""Alerts are amounts of a currency; who is told is in test_subscription.py beside what is paid."""

from __future__ import annotations

import asyncio

import pytest

from relayd.control import account, alert, mail
from relayd.core.errors import RelayError
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from tests.fakes.records import START_MS

EMAIL = "ann@example.org"


async def test_an_alert_is_kept_and_changed(db: Database) -> None:
    owner = (await account.create(db, EMAIL, None, START_MS)).id
    await alert.put(db, owner, "USD", "5")
    await alert.put(db, owner, "EUR", "2.50")
    await alert.put(db, owner, "USD", "7")
    assert sorted(alert.view(each)["below"] for each in await alert.of_account(db, owner)) == [
        "2.50", "7.00"]


@pytest.mark.parametrize("currency, below", [("usd", "1"), ("USD", "x"), ("USD", "9" * 12)])
async def test_what_is_no_amount_is_refused(db: Database, currency: str, below: str) -> None:
    owner = (await account.create(db, EMAIL, None, START_MS)).id
    with pytest.raises(RelayError):
        await alert.put(db, owner, currency, below)


async def test_many_accounts_are_all_told(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert, "ALERTS_AT_ONCE", 2)
    for number in range(5):
        owner = (await account.create(db, f"p{number}@example.org", None, START_MS)).id
        # a page ends between the currencies of one of them
        for currency in ("CNY", "EUR", "USD")[:1 + number % 3]:
            await alert.put(db, owner, currency, "1")
    assert await alert.tell(db, "https://c", START_MS) == 9
    assert await alert.tell(db, "https://c", START_MS) == 0


async def test_two_processes_tell_once(db: Database) -> None:
    for number in range(4):
        owner = (await account.create(db, f"p{number}@example.org", None, START_MS)).id
        await alert.put(db, owner, "USD", "1")
    both = [await open_database(db.directory) for _ in range(2)]
    told = await asyncio.gather(*(alert.tell(each, "https://c", START_MS) for each in both))
    assert sum(told) == 4
    assert len(await mail.listing(db)) == 4
    for each in both:
        await each.close()


async def test_a_store_that_fails_tells_nobody_and_is_asked_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> str:
        raise StoreError("store_busy")

    owner = (await account.create(db, EMAIL, None, START_MS)).id
    await alert.put(db, owner, "USD", "1")
    with monkeypatch.context() as patch:
        patch.setattr(mail, "post", fails)
        with pytest.raises(StoreError):
            await alert.tell(db, "https://c", START_MS)
    assert await alert.tell(db, "https://c", START_MS) == 1


@pytest.mark.parametrize("lost", ["key", "column"])
async def test_who_can_be_read_no_more_keeps_no_other_waiting(db: Database, lost: str) -> None:
    owners = [(await account.create(db, f"p{number}@example.org", None, START_MS)).id
              for number in range(2)]
    for owner in owners:
        await alert.put(db, owner, "USD", "1")
    if lost == "key":
        await db.keyring.destroy(min(owners))
    else:
        async with db.writing() as transaction:
            await transaction.run("UPDATE accounts SET email = zeroblob(60) WHERE id = ?",
                                  (min(owners),))
    assert await alert.tell(db, "https://c", START_MS) == 1
    assert [each.account_id for each in await mail.listing(db)] == [max(owners)]
