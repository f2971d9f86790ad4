"""What the ledger of money shows, and that any sequence of transfers keeps it right."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.control import account, grant, posting, usage, wallet
from relayd.control.grant import Credit
from relayd.control.posting import Balance
from relayd.core.posting import charge, move
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.store.posting import Wrong
from tests.fakes.records import START_MS, call_record

NOW = 1_800_000_000_000
WHO = "acct_1"


async def wrong(db: Database) -> list[Wrong]:
    """Of the book alone: these transfers have no grants and no calls."""
    async with db.reading() as transaction:
        return await store_posting.wrong(transaction)


async def test_balances_and_what_moved_them(db: Database) -> None:
    async with db.writing() as transaction:
        for transfer in (
                move("top_up", "order:1:credited", 1000, "CNY", account=WHO, partner="card"),
                move("grant", "grant:1", 300, "CNY", account=WHO),
                charge("use:1", 400, "CNY", WHO, 300),
                move("refund_hold", "refund:1:held", 50, "CNY", account=WHO),
                move("dispute", "dispute:1:opened", 20, "CNY", account=WHO),
                move("top_up", "order:2:credited", 7, "USD", account=WHO, partner="card")):
            await store_posting.post(transaction, transfer, NOW)
    assert await posting.balances(db, WHO) == [
        Balance("CNY", 830, 0, 50, 20), Balance("USD", 7, 0, 0, 0)]
    assert await posting.balances(db, "acct_other") == []
    shown = [posting.view(*each) for each in await posting.history(db, WHO, "CNY")]
    assert [(each["kind"], each["amount_nano"]) for each in shown] == [
        ("dispute", -20), ("refund_hold", -50), ("charge", -100), ("top_up", 1000)]
    first = await posting.history(db, WHO, "CNY", most=1)
    assert len(first) == 1
    older = await posting.history(db, WHO, "CNY", before=first[0][0].number)
    assert len(older) == 3
    assert len(await posting.history(db, WHO, "CNY", "promo")) == 2
    assert await wrong(db) == []


async def test_what_is_wrong_is_shown(db: Database) -> None:
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", "order:1:credited", 1000, "CNY", account=WHO, partner="card"), NOW)
        await transaction.run("UPDATE ledger_accounts SET balance_nano = 1 WHERE kind = 'balance'")
    [found] = await posting.verify(db)
    assert posting.view_wrong(found) == {
        "ledger": "balance", "where": "balance:acct_1:CNY", "stored": 1, "computed": 1000}


TAMPERED = {
    "use": "UPDATE account_use SET used_nano = used_nano + 7",
    "charges": "UPDATE account_use SET before_nano = 7",
    "grants": "UPDATE grants SET left_nano = left_nano - 7",
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_use_charges_and_grants_are_held_against_the_book(db: Database, what: str) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    async with db.writing() as transaction:
        await grant.give(transaction, made.id, Credit(100, "USD"), "operator", START_MS)
    await usage.post(db, [call_record(account=made.id, amount_nano=30)])
    await wallet.charge_all(db, START_MS)
    assert await posting.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run(TAMPERED[what])
    [found] = await posting.verify(db)
    assert (found.what, found.where) == (what, f"{made.id}:USD")
    assert abs(found.stored_nano - found.computed_nano) == 7


async def test_a_charge_that_no_use_explains_is_found(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    async with db.writing() as transaction:
        await store_posting.post(
            transaction, charge(f"use:{made.id}:USD:5", 5, "USD", made.id, 0), NOW)
    assert await posting.verify(db) == [Wrong("charges", f"{made.id}:USD", 0, 5)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["grant", "top_up", "charge", "fee"]),
                          st.integers(1, 10 ** 12)), max_size=25), st.integers(0, 10 ** 9))
async def test_any_sequence_keeps_the_book(
    db: Database, steps: list[tuple[str, int]], run: int
) -> None:
    who = f"acct_{run}_{len(steps)}"
    async with db.writing() as transaction:
        left = sum((await store_posting.balances(transaction, who)).values())
        for number, (step, amount) in enumerate(steps):
            cause = f"{run}:{len(steps)}:{number}"
            if await store_posting.find(transaction, cause) is not None:
                continue
            transfer = move(step, cause, amount, "CNY",  # type: ignore[arg-type]
                            account=who, partner="card")
            posted = [await store_posting.post(transaction, transfer, NOW) for _ in range(3)]
            assert posted == [True, False, False]
            left += {"charge": -amount, "fee": 0}.get(step, amount)
        found = await store_posting.balances(transaction, who)
        everything = await store_posting.balances(transaction)
    assert sum(found.values()) == left
    assert sum(everything.values()) == 0 and await wrong(db) == []


@pytest.mark.parametrize("step", ["grant", "top_up"])
async def test_what_failed_leaves_nothing(db: Database, step: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await store_posting.post(transaction, move(
                step, "c", 5, "CNY", account=WHO, partner="card"), NOW)  # type: ignore[arg-type]
            raise ZeroDivisionError
    assert await posting.balances(db, WHO) == [] and await wrong(db) == []
