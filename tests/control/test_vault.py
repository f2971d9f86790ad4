"""The legal vault: what goes in, who opens it, and that its year's key goes with its year."""

from __future__ import annotations

import pytest

from relayd.control import account, vault
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.retention import Terms, year_end_ms
from relayd.core.timestamp import DAY_MS
from relayd.core.vault import FIELDS
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.erased import erase
from tests.fakes.person import MARKS, files_with, make_person
from tests.fakes.records import START_MS


async def test_E3_copies_have_the_listed_fields_and_no_other(db: Database) -> None:
    who = await make_person(db)
    await erase(db, who, START_MS)
    for item in await vault.look(db, SHELL, who, "a case", START_MS):
        assert set(item.content) <= FIELDS[item.kind]
        assert item.until_ms == START_MS + 1096 * DAY_MS
        assert vault.view(item)["kind"] == item.kind


async def test_E3_a_vault_is_sealed_too(db: Database) -> None:
    who = await make_person(db)
    async with db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'credited'")
    await erase(db, who, START_MS)
    assert files_with(db.directory, *MARKS) == {}


async def test_a_vault_that_ended_opens_no_more(db: Database) -> None:
    who = await make_person(db)
    await erase(db, who, START_MS)
    end_ms = START_MS + 1096 * DAY_MS
    assert await vault.sweep_batch(db, end_ms - 1, 500) == 0
    assert await vault.destroy_years(db, year_end_ms(2028)) == []
    assert await vault.sweep_batch(db, end_ms, 500) == 3
    # not before its year is over: others may still be put in
    assert await vault.destroy_years(db, end_ms) == []
    assert await vault.destroy_years(db, year_end_ms(2029)) == [2029]
    with pytest.raises(StoreError) as caught:
        db.keyring.cipher("vault:2029")
    assert caught.value.code == "data_key_gone"
    assert await vault.look(db, SHELL, who, "a case", end_ms) == []


@pytest.mark.parametrize("role", ["support", "security", "owner"])
async def test_D3_few_may_open_it(db: Database, role: str) -> None:
    made = await account.create(db, "a@example.org", None, START_MS)
    with pytest.raises(RelayError) as caught:
        actor = Actor("acct_x", frozenset({role}))  # type: ignore[arg-type]
        await vault.look(db, actor, made.id, "a case", START_MS)
    assert caught.value.code == "role_needed"


async def test_orders_that_end_later_are_copied_then(db: Database) -> None:
    who = await make_person(db)
    await erase(db, who, START_MS)
    assert await vault.late(db, Terms(), START_MS, 10) == 0
    async with db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'refunded' WHERE id = 'ord_1'")
    assert await vault.late(db, Terms(), START_MS + 5, 10) == 1
    kinds = [item.content["id"] for item in await vault.look(db, SHELL, who, "x", START_MS)
             if item.kind == "order"]
    assert sorted(map(str, kinds)) == ["ord_0", "ord_1"]


async def test_what_has_ended_before_the_erasure_is_not_copied(db: Database) -> None:
    who = await make_person(db)
    await db.keyring.make("vault:2025")
    await vault.destroy_years(db, START_MS)
    async with db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'credited', paid_at_ms = ?, created_at_ms"
                              " = ? WHERE id = 'ord_0'", (START_MS - 1200 * DAY_MS,) * 2)
    await erase(db, who, START_MS)
    kinds = {item.kind for item in await vault.look(db, SHELL, who, "a case", START_MS)}
    assert kinds == {"consent"}
    async with db.reading() as transaction:
        [row] = await transaction.rows("SELECT session, trade FROM orders WHERE id = 'ord_0'")
    assert tuple(row) == (None, None)
