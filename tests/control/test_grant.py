"""Credit that is given: spent first, gone when its time is over; codes are redeemed once."""

from __future__ import annotations

import orjson
import pytest

from relayd.control import account, audit, grant, usage, wallet
from relayd.control.grant import Credit
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.posting import LedgerAccount
from relayd.store import grant as store_grant
from relayd.store import posting as store_posting
from relayd.store import wallet as store_wallet
from relayd.store.db import Database
from tests.fakes.audited import audited
from tests.fakes.records import START_MS, call_record

EMAIL = "ann@example.org"
DAY = 86_400_000


async def promo(db: Database, owner: str) -> int:
    async with db.reading() as transaction:
        assert await store_grant.wrong(transaction) == []
        assert await store_posting.wrong(transaction) == []
        return await store_posting.balance(transaction, LedgerAccount("promo", owner, "USD"))


async def made(db: Database, email: str = EMAIL) -> str:
    return (await account.create(db, email, None, START_MS)).id


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_an_operator_gives_credit_for_a_reason(db: Database) -> None:
    owner = await made(db)
    found = await grant.give_to(
        db, EMAIL, Credit(100, "USD"), "an outage", START_MS, SHELL)
    assert grant.view(found)["left"] == "0.0000001" and await promo(db, owner) == 100
    entries = [entry async for entry in audit.listing(db)]
    assert [e.reason for e in entries if e.event.action == "credit.grant"] == ["an outage"]
    assert await refused(grant.give_to(
        db, EMAIL, Credit(1, "USD"), "", START_MS, SHELL)) in ("reason_missing", "invalid_value")


async def test_what_is_left_goes_when_its_time_is_over(db: Database) -> None:
    owner = await made(db)
    await grant.give_to(db, EMAIL, Credit(100, "USD", START_MS + DAY), "x", START_MS, SHELL)
    await grant.give_to(db, EMAIL, Credit(50, "USD"), "x", START_MS, SHELL)
    # used in time, charged late: it is paid from what expires
    await usage.post(db, [call_record(account=owner, amount_nano=30)])
    assert await grant.expire(db, START_MS + DAY - 1) == 0
    assert await grant.expire(db, START_MS + DAY) == 1
    assert await promo(db, owner) == 50
    assert await grant.expire(db, START_MS + 2 * DAY) == 0
    assert [money.nano for money in await wallet.money(db, EMAIL)] == [50]


async def test_nobody_s_credit_ends_before_their_calls_are_charged(
    db: Database, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grant, "EXPIRED_AT_ONCE", 1)
    people = [await made(db, f"{name}@example.org") for name in ("ann", "bob")]
    for owner in people:
        await grant.give_to(db, owner, Credit(100, "USD", START_MS + DAY), "gift", START_MS, SHELL)
        await usage.post(db, [call_record(account=owner, amount_nano=100)])
    while await grant.expire(db, START_MS + DAY):
        pass
    async with db.reading() as transaction:
        for owner in people:
            assert await store_posting.balance(
                transaction, LedgerAccount("balance", owner, "USD")) == 0
            assert [each.nano for each in await store_wallet.of_account(transaction, owner)] == [0]


async def test_what_is_left_is_taken_back_once_calls_are_paid_from_it(db: Database) -> None:
    owner = await made(db)
    found = await grant.give_to(db, EMAIL, Credit(100, "USD"), "gift", START_MS, SHELL)
    await usage.post(db, [call_record(account=owner, amount_nano=30)])
    await grant.end_one(db, found.id, "a mistake", START_MS, SHELL)
    assert await promo(db, owner) == 0
    assert [money.nano for money in await wallet.money(db, EMAIL)] == [0]
    [entry] = [each async for each in audit.listing(db) if each.event.action == "credit.end"]
    assert (entry.reason, orjson.loads(entry.event.details)) == (
        "a mistake", {"grant": found.id, "nano": 70, "currency": "USD"})
    # what is spent or ended cannot be taken back, as what there is not
    for name in (found.id, "grant_x"):
        with pytest.raises(RelayError) as caught:
            await grant.end_one(db, name, "again", START_MS, SHELL)
        assert (caught.value.code, caught.value.param) == ("grant_not_found", "grant")


async def test_a_code_is_redeemed_once_by_each(db: Database) -> None:
    ann, bob, eve = [await made(db, f"{name}@example.org") for name in ("ann", "bob", "eve")]
    new = await grant.make_code(db, Credit(100, "USD", START_MS + DAY), 2, 30, START_MS, SHELL)
    assert new.text not in repr(new)
    found = await grant.redeem(db, ann, f" {new.text} ", START_MS, SHELL)
    assert found.expires_at_ms == START_MS + 30 * DAY and await promo(db, ann) == 100
    assert await refused(grant.redeem(db, ann, new.text, START_MS, SHELL)) == "code_not_usable"
    await grant.redeem(db, bob, new.text, START_MS, SHELL)
    assert await refused(grant.redeem(db, eve, new.text, START_MS, SHELL)) == "code_not_usable"
    assert [code.uses_left for code in await grant.codes(db)] == [0]


async def test_codes_end(db: Database) -> None:
    ann = await made(db)
    late = await grant.make_code(db, Credit(1, "USD", START_MS + DAY), 1, None, START_MS, SHELL)
    assert await refused(
        grant.redeem(db, ann, late.text, START_MS + DAY, SHELL)) == "code_not_usable"
    ended = await grant.make_code(db, Credit(1, "USD"), 1, None, START_MS, SHELL)
    await grant.end_code(db, ended.code.id, START_MS, SHELL)
    assert [act.action for act in await audited(db, "code.")] == [
        "code.create", "code.create", "code.end"]
    for text in (ended.text, "relayd-" + "a" * 22, "nonsense"):
        assert await refused(grant.redeem(db, ann, text, START_MS, SHELL)) == "code_not_usable"
    assert await refused(grant.end_code(db, "code_x", START_MS, SHELL)) == "code_not_found"
    assert await promo(db, ann) == 0


async def test_a_codes_text_is_nowhere(db: Database) -> None:
    new = await grant.make_code(db, Credit(1, "USD"), 1, None, START_MS, SHELL)
    assert not any(new.text.encode() in file.read_bytes()
                   for file in db.directory.iterdir() if file.is_file())


@pytest.mark.parametrize("uses, days", [(0, None), (-1, None), (10**7, None), (1, 0), (1, 10**5)])
async def test_codes_have_bounds(db: Database, uses: int, days: int | None) -> None:
    assert await refused(grant.make_code(
        db, Credit(1, "USD"), uses, days, START_MS, SHELL)) == "invalid_value"


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "9" * 12])
def test_amounts_are_read(text: str) -> None:
    with pytest.raises(RelayError):
        grant.read_amount(text, "USD")
    with pytest.raises(RelayError):
        grant.read_amount("1", "usd")
