"""What the ledger of money shows, and that any sequence of transfers keeps it right."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.control import posting
from relayd.control.posting import Balance
from relayd.core.posting import charge, move
from relayd.store import posting as store_posting
from relayd.store.db import Database

NOW = 1_800_000_000_000
WHO = "acct_1"


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
    assert await posting.verify(db) == []


async def test_what_is_wrong_is_shown(db: Database) -> None:
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", "order:1:credited", 1000, "CNY", account=WHO, partner="card"), NOW)
        await transaction.run("UPDATE ledger_accounts SET balance_nano = 1 WHERE kind = 'balance'")
    [wrong] = await posting.verify(db)
    assert posting.view_wrong(wrong) == {
        "ledger": "balance", "where": "balance:acct_1:CNY", "stored": 1, "computed": 1000}


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
    assert sum(everything.values()) == 0 and await posting.verify(db) == []


@pytest.mark.parametrize("step", ["grant", "top_up"])
async def test_what_failed_leaves_nothing(db: Database, step: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await store_posting.post(transaction, move(
                step, "c", 5, "CNY", account=WHO, partner="card"), NOW)  # type: ignore[arg-type]
            raise ZeroDivisionError
    assert await posting.balances(db, WHO) == [] and await posting.verify(db) == []
