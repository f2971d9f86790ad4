"""The book in SQLite: balances follow their entries, nothing can be changed, faults are found."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.posting import (
    TRANSFER_NANO_MAX, LedgerAccount, Transfer, TransferKind, charge, folded, move,
)
from relayd.store import account, order, posting
from relayd.store.db import Database
from relayd.store.directory import StoreError

BALANCE = LedgerAccount("balance", "acct_1", "CNY")
NOW = 1_700_000_000_000


def top_up(cause: str, nano: int = 1000) -> Transfer:
    return move("top_up", cause, nano, "CNY", account="acct_1", partner="card")


async def test_a_transfer_moves_balances(db: Database) -> None:
    async with db.writing() as transaction:
        assert await posting.post(transaction, top_up("one"), NOW)
        assert await posting.post(transaction, charge("two", 300, "CNY", "acct_1", 0), NOW + 1)
    async with db.reading() as transaction:
        assert await posting.balance(transaction, BALANCE) == 700
        assert await posting.balances(transaction, "acct_1") == {BALANCE: 700}
        everything = await posting.balances(transaction)
        assert sum(everything.values()) == 0 and len(everything) == 3
        assert await posting.wrong(transaction) == []
        shown = await posting.history(transaction, BALANCE, None, 10)
        assert [(p.transfer.cause, nano) for p, nano in shown] == [("two", -300), ("one", 1000)]
        older = await posting.history(transaction, BALANCE, shown[0][0].number, 10)
        assert older == shown[1:]


async def test_a_cause_counts_once(db: Database) -> None:
    async with db.writing() as transaction:
        assert await posting.post(transaction, top_up("one"), NOW)
        for _ in range(10):
            assert not await posting.post(transaction, top_up("one"), NOW)
        assert await posting.balance(transaction, BALANCE) == 1000
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await posting.post(transaction, top_up("one", 1001), NOW)
    assert caught.value.code == "store_refused"


async def test_bounds(db: Database) -> None:
    with pytest.raises(RelayError) as caught:
        async with db.writing() as transaction:
            await posting.post(
                transaction, move("grant_expiry", "x", 1, "CNY", account="acct_1"), NOW)
    assert caught.value.code == "balance_short"
    with pytest.raises(RelayError) as caught:
        async with db.writing() as transaction:
            for number in range(1000):
                await posting.post(transaction, top_up(str(number), TRANSFER_NANO_MAX), NOW)
    assert caught.value.code == "amount_range"
    async with db.reading() as transaction:
        assert await posting.balances(transaction) == {}
        assert await posting.find(transaction, "0") is None


@pytest.mark.parametrize("sql", [
    "UPDATE entries SET amount_nano = 5", "DELETE FROM entries",
    "UPDATE transfers SET cause = 'x'", "DELETE FROM transfers",
    "INSERT INTO entries VALUES (1, 1, 0)", "INSERT INTO entries VALUES (1, 99, 5)",
])
async def test_the_book_is_only_ever_written_on(db: Database, sql: str) -> None:
    async with db.writing() as transaction:
        await posting.post(transaction, top_up("one"), NOW)
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await transaction.run(sql)
    assert caught.value.code == "store_refused"


async def test_what_is_wrong_is_found(db: Database) -> None:
    async with db.writing() as transaction:
        await posting.post(transaction, top_up("one"), NOW)
        await posting.post(transaction, top_up("two"), NOW)
        await transaction.run("UPDATE ledger_accounts SET balance_nano = 5 WHERE kind = 'balance'")
        await transaction.run("DROP TRIGGER entries_stay")
        await transaction.run("UPDATE entries SET amount_nano = amount_nano + 7"
                              " WHERE transfer = 2 AND ledger_account = 1")
        await transaction.run("INSERT INTO transfers (at_ms, kind, cause) VALUES (1, 'fee', 'e')")
    async with db.reading() as transaction:
        found = await posting.wrong(transaction)
    assert ("unbalanced", "two", 0, 7) in found
    assert ("unbalanced", "e", 0, 0) in found
    assert ("balance", "balance:acct_1:CNY", 5, 2000) in found
    assert ("balance", "clearing:card:CNY", -2000, -1993) in found


async def test_orders_and_their_credits_are_held_against_each_other(db: Database) -> None:
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@x.org", None, "active", 0))
        for name, state, credited in (
                ("well", "credited", True), ("back", "refunded", True), ("open", "pending", False),
                ("lost", "credited", False), ("early", "paid", True)):
            await order.insert(transaction, Order(
                name, "acct_1", "card", "CNY", 500, state,  # type: ignore[arg-type]
                NOW, NOW + 1, paid_at_ms=None if state == "pending" else NOW), None, None)
            if credited:
                await posting.post(transaction, top_up(f"order:{name}:credited"), NOW)
    async with db.reading() as transaction:
        assert sorted(await posting.wrong(transaction)) == [
            ("not credited", "early", 0, 500), ("not credited", "lost", 0, 500)]


@pytest.mark.parametrize("seed", range(3))
async def test_the_book_is_what_its_transfers_make(db: Database, seed: int) -> None:
    """Of several kinds, owners and currencies; a ledger account is all three of them."""
    dice, made = Random(seed), []
    for number in range(60):
        kind: TransferKind = dice.choice(("top_up", "grant", "refund_by_partner", "fee"))
        made.append(move(
            kind, f"c{number}", dice.randrange(1, 99), dice.choice(("CNY", "USD")),
            account=dice.choice(("acct_1", "acct_2")), partner=dice.choice(("card", "other"))))
    posted = []
    async with db.writing() as transaction:
        for number, transfer in enumerate(made):
            try:
                assert await posting.post(transaction, transfer, NOW + number)
            except RelayError:
                break  # a refund of what is not there: what was before it stands
            posted.append(transfer)
        book = folded(posted)
        assert len(book) > 4
        assert await posting.balances(transaction) == book
        for owner in ("acct_1", "acct_2", "card", ""):
            assert await posting.balances(transaction, owner) == {
                party: nano for party, nano in book.items() if party.owner == owner}
        for party, nano in book.items():
            assert await posting.balance(transaction, party) == nano
            assert await posting.balance(transaction, replace(party, currency="EUR")) == 0
            mine = [(transfer, dict(transfer.entries)[party]) for transfer in reversed(posted)
                    if party in dict(transfer.entries)]
            shown = await posting.history(transaction, party, None, 1000)
            assert [(each.transfer.cause, part) for each, part in shown] == [
                (transfer.cause, part) for transfer, part in mine]
            assert await posting.history(transaction, party, None, 2) == shown[:2]
        for number, transfer in enumerate(posted):
            found = await posting.find(transaction, transfer.cause)
            assert found is not None and found.at_ms == NOW + number
            assert sorted(found.transfer.entries) == sorted(transfer.entries)
            assert found.transfer.kind == transfer.kind
