"""The snapshot is one state of the store, with its version."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from relayd.control import account, consent, key, limit, publish, subscription
from relayd.control.erasure import Wish, ask
from relayd.control.key import KeyWish
from relayd.core.account import Account
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.plan import Plan
from relayd.core.snapshot import Snapshot
from relayd.store import account as store_account
from relayd.store import meta
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.transaction import BATCH_ROWS
from tests.fakes.editions import publish as publish_document
from tests.fakes.erased import erase
from tests.fakes.records import START_MS

PLANS = {"team": Plan("team"), "large": Plan("large")}


async def test_an_empty_store_has_an_empty_policy(db: Database) -> None:
    snapshot = await publish.load(db)
    assert snapshot.keys == {} and snapshot.version == 1


async def test_all_keys_are_in_it_however_many(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    issued = await key.create(db, made.id, KeyWish("first"), START_MS)
    async with db.writing() as transaction:
        await transaction.many(
            "INSERT INTO api_keys SELECT ?, account_id, ?, hint, name, app, models, state,"
            " created_at_ms, expires_at_ms, replaces FROM api_keys WHERE id = ?",
            [(f"key_{n}", n.to_bytes(32, "big"), issued.key.id) for n in range(2 * BATCH_ROWS)])
    snapshot = await publish.load(db)
    assert len(snapshot.keys) == 2 * BATCH_ROWS + 1
    assert snapshot.keys[(5).to_bytes(32, "big")].key == "key_5"


async def test_another_process_bumps_the_version(db: Database) -> None:
    before = (await publish.load(db)).version
    other = await open_database(db.directory)
    await account.create(other, "ann@example.org", None, START_MS)
    await other.close()
    assert (await publish.load(db)).version == before + 1


def shape(snapshot: Snapshot) -> Snapshot:
    """Without what tells a snapshot that was read whole from one that was renewed."""
    return replace(snapshot, budgeted=())


class People:
    """Does something that the relay must know of, to somebody."""

    def __init__(self, db: Database, dice: random.Random) -> None:
        self.db, self.dice = db, dice
        self.accounts: list[str] = []
        self.keys: list[str] = []

    async def one_more(self) -> None:
        made = await account.create(
            self.db, f"p{len(self.accounts)}@example.org", None, START_MS)
        self.accounts.append(made.id)

    async def one_key(self) -> None:
        made = await key.create(self.db, self._who(), KeyWish("k"), START_MS)
        self.keys.append(made.key.id)

    async def change(self) -> None:
        wish = KeyWish("k", self.dice.choice((None, "app")), self.dice.choice((None, ("a", "b*"))),
                       self.dice.choice((None, START_MS + 5)))
        await key.change(self.db, self._key(), wish, START_MS)

    async def rotate(self) -> None:
        made = await key.rotate(self.db, self._key(), self.dice.choice((0, 5)), START_MS)
        self.keys.append(made.key.id)

    async def revoke(self) -> None:
        await key.revoke(self.db, self._key(), START_MS)

    async def limits(self) -> None:
        text = self.dice.choice(("7", "default"))
        name = self.dice.choice(("concurrent", "daily_budget"))
        await limit.change(self.db, "account", self._who(), {name: text}, START_MS)

    async def key_limits(self) -> None:
        await limit.change(
            self.db, "key", self._key(), {"concurrent": self.dice.choice(("3", "default"))},
            START_MS)

    async def consents(self) -> None:
        who, item = self._who(), self.dice.choice(("overseas_routes", "app_attribution"))
        if self.dice.random() < 0.5:
            await consent.withdraw(self.db, Actor(who), who, item, "console", START_MS)
        else:
            await consent.agree(self.db, Actor(who), who, [item], ("en", "console"), START_MS)

    async def plan(self) -> None:
        name = self.dice.choice((None, "team", "large"))
        await subscription.assign(self.db, self._who(), name, PLANS, START_MS, SHELL)

    async def suspend(self) -> None:
        await self._move("suspended")

    async def resume(self) -> None:
        await self._move("active")

    async def close(self) -> None:
        await ask(self.db, SHELL, self._who(), Wish(), START_MS)

    async def erase(self) -> None:
        async with self.db.writing() as transaction:
            found = await store_account.get(transaction, self._who())
            if found.state == "active":
                await account.empty(transaction, found, START_MS)
                await meta.bump_policy_version(transaction)

    async def _move(self, state: str) -> None:
        async with self.db.writing() as transaction:
            # what comes behind it in a transaction counts as well
            await meta.bump_policy_version(transaction)
            found: Account = await store_account.get(transaction, self._who())
            if found.state in ("active", "suspended"):
                await store_account.update(
                    transaction, replace(found, state=state))  # type: ignore[arg-type]

    def _who(self) -> str:
        return self.dice.choice(self.accounts)

    def _key(self) -> str:
        return self.dice.choice(self.keys)


def often(people: People) -> Sequence[Callable[[], Awaitable[None]]]:
    return (people.one_key, people.one_key, people.change, people.rotate, people.revoke,
            people.limits, people.key_limits, people.consents, people.consents, people.plan,
            people.suspend, people.resume)


@pytest.mark.parametrize("seed", range(6))
async def test_a_renewed_policy_is_the_one_that_would_be_loaded(db: Database, seed: int) -> None:
    dice = random.Random(seed)
    people = People(db, dice)
    await publish_document(db)
    for _ in range(4):
        await people.one_more()
    await people.one_key()
    last = await publish.load(db, START_MS)
    for turn in range(60):
        for _ in range(dice.choice((1, 1, 3))):
            rarely = (people.close, people.erase, people.one_more)
            done = dice.choice(rarely if dice.random() < 0.05 else often(people))
            try:
                await done()
            except RelayError as error:  # of an account or a key that is no more
                assert error.code in ("account_state", "key_state", "erasure_state",
                                      "data_key_gone", "account_not_found"), error.code
        before = last
        last = await publish.renew(db, last, START_MS)
        assert last is before or last.keys is before.keys, "renewed, not read as a whole"
        assert shape(last) == shape(await publish.load(db, START_MS)), turn


async def test_a_version_of_a_document_that_asks_anew_has_everything_read(db: Database) -> None:
    await publish_document(db)
    made = await account.create(db, "ann@example.org", None, START_MS)
    await key.create(db, made.id, KeyWish("k"), START_MS)
    await consent.agree(
        db, Actor(made.id), made.id, ["overseas_routes"], ("en", "console"), START_MS)
    last = await publish.load(db, START_MS)
    await publish_document(db, version=2, gate="console", items=("overseas_routes",))
    async with db.writing() as transaction:
        await meta.bump_policy_version(transaction)
    found = await publish.renew(db, last, START_MS)
    assert [grant.overseas for grant in found.keys.values()] == [False]
    assert shape(found) == shape(await publish.load(db, START_MS))


@pytest.mark.parametrize(("kept", "most"), [(1, 5000), (10_000, 1)])
async def test_who_is_too_far_behind_or_has_too_much_to_read_reads_everything(
    db: Database, monkeypatch: pytest.MonkeyPatch, kept: int, most: int,
) -> None:
    monkeypatch.setattr(meta, "KEPT_VERSIONS", kept)
    monkeypatch.setattr(publish, "CHANGES_MAX", most)
    last = await publish.load(db, START_MS)
    made = await account.create(db, "ann@example.org", None, START_MS)
    for _ in range(3):
        await key.create(db, made.id, KeyWish("k"), START_MS)
    found = await publish.renew(db, last, START_MS)
    assert len(found.keys) == 3 and found.keys is not last.keys
    assert await publish.renew(db, found, START_MS) is found
    async with db.reading() as transaction:
        [(rows,)] = await transaction.rows("SELECT COUNT(DISTINCT version) FROM policy_changes")
    assert rows <= kept


async def test_a_store_that_was_taken_back_is_read_anew(db: Database) -> None:
    last = Snapshot(99, {b"k": None}, asked=(0, 0, 0))  # type: ignore[dict-item]
    assert (await publish.renew(db, last, START_MS)).keys == {}


async def test_the_key_of_who_another_process_erased_is_forgotten_here(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    here = await open_database(db.directory)
    assert (await account.find(here, made.id)).email == "ann@example.org"
    last = await publish.load(here)
    await erase(db, made.id, START_MS)
    await publish.renew(here, last)
    with pytest.raises(StoreError) as caught:
        here.keyring.cipher(made.id)
    assert caught.value.code == "data_key_gone"
    await here.close()


async def test_keys_with_a_budget_of_their_own_are_told_apart(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    issued = [await key.create(db, made.id, KeyWish(f"k{n}"), START_MS) for n in range(3)]
    await limit.change(db, "key", issued[0].key.id, {"daily_budget": "1"}, START_MS)
    await limit.change(db, "key", issued[1].key.id, {"concurrent": "3"}, START_MS)
    whole = await publish.load(db)
    assert len(whole.keys) == 3
    assert [grant.key for grant in whole.budgeted] == [issued[0].key.id]
