"""Charges: once, whole, promo credit first."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.control import account, audit, grant, ledger, usage, wallet
from relayd.control.grant import Credit
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.posting import LedgerAccount, move
from relayd.store import grant as store_grant
from relayd.store import posting
from relayd.store import wallet as store_wallet
from relayd.store.db import Database, open_database
from tests.fakes.records import START_MS, call_record

EMAIL = "ann@example.org"


async def balance(db: Database, owner: str, kind: str = "balance") -> int:
    async with db.reading() as transaction:
        return await posting.balance(
            transaction, LedgerAccount(kind, owner, "USD"))  # type: ignore[arg-type]


async def give(
    db: Database, owner: str, nano: int, kind: str = "top_up", cause: str = "a",
) -> None:
    async with db.writing() as transaction:
        if kind == "grant":
            await grant.give(transaction, owner, Credit(nano, "USD"), "operator", 1)
        else:
            await posting.post(transaction, move(
                "top_up", cause, nano, "USD", account=owner, partner="p"), 1)


async def call(db: Database, owner: str, nano: int, number: int = 1) -> None:
    await usage.post(db, [call_record(
        id=f"01J{number:023d}", started_at_ms=START_MS, account=owner, amount_nano=nano)])


async def test_calls_are_charged_once(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    await give(db, made.id, 100)
    await call(db, made.id, 30)
    assert [found.nano for found in await wallet.money(db, EMAIL)] == [70]
    assert await balance(db, made.id) == 100
    assert await wallet.charge_all(db, START_MS) == 1
    assert await wallet.charge_all(db, START_MS) == 0
    assert await balance(db, made.id) == 70 and await balance(db, "", "revenue") == 30
    assert [found.nano for found in await wallet.money(db, EMAIL)] == [70]
    # the same record again, as a journal's replay brings it
    await call(db, made.id, 30)
    assert await wallet.charge_all(db, START_MS) == 0


async def test_promo_credit_goes_first(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    await give(db, made.id, 100)
    await give(db, made.id, 20, "grant", "b")
    await call(db, made.id, 30)
    await wallet.charge_all(db, START_MS)
    assert (await balance(db, made.id, "promo"), await balance(db, made.id)) == (0, 90)


async def test_more_than_a_transfer_holds_is_charged_in_several(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wallet, "TRANSFER_NANO_MAX", 10)
    made = await account.create(db, EMAIL, None, START_MS)
    await give(db, made.id, 100)
    await give(db, made.id, 12, "grant", "b")
    for number, nano in enumerate((35, 20)):
        await call(db, made.id, nano, number)
        await wallet.charge_all(db, START_MS)
    assert (await balance(db, made.id, "promo"), await balance(db, made.id)) == (0, 57)
    assert await balance(db, "", "revenue") == 55 and await ledger.verify(db) == []
    async with db.reading() as transaction:
        assert await posting.wrong(transaction) == [] == await store_grant.wrong(transaction)


async def test_an_account_may_owe(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    await call(db, made.id, 30)
    await wallet.charge_all(db, START_MS)
    assert await balance(db, made.id) == -30
    assert wallet.view((await wallet.money(db, EMAIL))[0]) == {
        "currency": "USD", "balance": "-0.00000003", "balance_nano": -30, "credit": "0.00"}


async def test_a_reading_has_what_changed_and_the_calls_in_it(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    await call(db, made.id, 30)
    name = f"01J{1:023d}"
    reading = await wallet.read(
        db, 0, lambda: [(START_MS, name), (START_MS, "01J" + "9" * 23)])
    assert [(m.account, m.nano) for m in reading.money] == [(made.id, -30)]
    assert reading.known == {name}
    again = await wallet.read(db, reading.version, list)
    assert again.money == () and again.version == reading.version


async def test_a_credit_line_is_an_amount(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    await wallet.set_credit(db, EMAIL, "USD", "2.50", START_MS, SHELL)
    [found] = await wallet.money(db, made.id)
    assert found.credit_nano == 2_500_000_000
    assert wallet.view(found) == {
        "currency": "USD", "balance": "0.00", "balance_nano": 0, "credit": "2.50"}
    [event] = [entry.event async for entry in audit.listing(db, target=made.id)
               if entry.event.action == "credit.change"]
    assert orjson.loads(event.details) == {"currency": "USD", "nano": 2_500_000_000}
    for currency, amount in (("usd", "1"), ("USD", "x"), ("USD", "-1"), ("USD", "9" * 12)):
        try:
            await wallet.set_credit(db, EMAIL, currency, amount, START_MS, SHELL)
        except RelayError as error:
            assert error.code == "invalid_value"
        else:
            raise AssertionError(currency, amount)


@settings(max_examples=8, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(
    st.sampled_from(["call", "charge", "top_up", "grant"]), st.integers(1, 10**9)), max_size=12))
async def test_money_is_what_came_in_less_what_calls_cost(
    tmp_path_factory: object, steps: list[tuple[str, int]],
) -> None:
    directory: Path = tmp_path_factory.mktemp("store")  # type: ignore[attr-defined]
    db = await open_database(directory)
    try:
        made = await account.create(db, EMAIL, None, START_MS)
        came, cost = 0, 0
        for number, (what, nano) in enumerate(steps):
            if what == "call":
                cost += nano
                await call(db, made.id, nano, number)
            elif what == "charge":
                await wallet.charge_all(db, START_MS)
            else:
                came += nano
                await give(db, made.id, nano, what, f"{what}:{number}")
            assert sum(found.nano for found in await wallet.money(db, EMAIL)) == came - cost
        await wallet.charge_all(db, START_MS)
        parts = [await balance(db, made.id, kind) for kind in ("balance", "promo")]
        assert sum(parts) == came - cost and await balance(db, "", "revenue") == cost
        async with db.reading() as transaction:
            assert await posting.wrong(transaction) == []
            assert await store_wallet.wrong(transaction) == []
            assert await store_grant.wrong(transaction) == []
        assert await ledger.verify(db) == []
    finally:
        await db.close()
