"""What a restore takes over from the store before: no right comes back that was taken since."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relayd import cli_backup
from relayd.control import account, audit, consent, erasure, key, limit, role, session, tombstone
from relayd.control.door import Caller
from relayd.control.erasure import Means
from relayd.control.key import KeyWish
from relayd.core.actor import SHELL, Actor
from relayd.core.consent import REQUIRED
from relayd.core.holder import Holder
from relayd.core.retention import Terms
from relayd.store import account as store_account
from relayd.store import carry as carry_module
from relayd.store import holder as store_holder
from relayd.store.backup import DATABASE_NAME, DRAFT_NAME, take
from relayd.store.carry import Carried, carry
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.migration import known
from relayd.store.restore import restore
from relayd.store.signing import Signer
from tests.fakes.editions import publish_first
from tests.fakes.records import START_MS as NOW

AT = "2026-01-01T00:00:00.000Z"
CALLER = Caller("203.0.113.9", "Firefox on Linux")
DAY_MS = 86_400_000
Since = Callable[[Database, str], Awaitable[object]]


async def person(db: Database, name: str = "ann") -> str:
    made = await account.create(db, f"{name}@example.org", None, NOW)
    async with db.writing() as transaction:
        await consent.register(transaction, made.id, (*REQUIRED, "marketing"), ("en", "console"),
                               NOW)
        await store_holder.put(transaction, Holder(made.id, "argon-old", NOW, None, NOW))
    return made.id


class Play:
    """A store with one person, of whom `before` is a backup; then `since` happens to them."""

    def __init__(self, path: Path) -> None:
        self.store, self.backup = path / "store", path / "b"
        self.who = ""
        self.ids: list[str] = []

    async def begin(self) -> None:
        db = await open_database(self.store)
        await publish_first(db)
        self.who = await person(db)
        for name in ("one", "two"):
            made = await key.create(db, self.who, KeyWish(name), NOW)
            self.ids.append(made.key.id)
        await role.give(db, SHELL, self.who, "support", NOW)
        async with db.writing() as transaction:
            await session.start(transaction, self.who, "password", CALLER, NOW)
        await limit.change(db, "account", self.who, {"requests_per_minute": "60"}, NOW)
        await db.close()
        take(self.store, self.backup, with_secret=False, created_at=AT)

    async def since(self, *steps: Since) -> None:
        db = await open_database(self.store)
        for step in steps:
            await step(db, self.who)
        await db.close()

    def restore(self, stamp: str = "x") -> Carried:
        return restore(self.backup, self.store, replace=True, stamp=stamp).carried

    async def row(self, query: str, *values: object) -> Any:
        db = await open_database(self.store)
        try:
            async with db.reading() as transaction:
                return await transaction.row(query, values or (self.who,))
        finally:
            await db.close()


@pytest.fixture
async def play(tmp_path: Path) -> Play:
    made = Play(tmp_path)
    await made.begin()
    return made


async def run(db: Database, statement: str, *values: object) -> None:
    async with db.writing() as transaction:
        await transaction.run(statement, values)


async def test_a_backup_of_now_takes_nothing_but_sessions(play: Play) -> None:
    found = play.restore()
    assert found.known and found.later
    assert {name: count for name, count in found.done.items() if count} == {"sessions": 1}
    assert set(found.lost.values()) == {0}
    assert await play.row("SELECT state FROM accounts WHERE id = ?") == ("active",)
    assert await play.row("SELECT count(*) FROM api_keys WHERE state = 'active' AND account_id = ?"
                          ) == (2,)


async def test_a_consent_that_was_withdrawn_stays_withdrawn(play: Play) -> None:
    async def withdraw(db: Database, who: str) -> None:
        await consent.withdraw(db, Actor(who), who, "marketing", "console", NOW + 5)

    await play.since(withdraw)
    assert play.restore().done["consents"] == 1
    db = await open_database(play.store)
    async with db.reading() as transaction:
        assert not await consent.consented(transaction, play.who, "marketing", NOW + 6)
    # agreed to anew later, a second restore of an older store leaves it alone
    await consent.agree(db, Actor(play.who), play.who, ("marketing",), ("en", "console"), NOW + 9)
    await db.close()
    older = play.backup
    take(play.store, play.backup.with_name("newer"), with_secret=False, created_at=AT)
    play.backup = older
    play.restore("y")
    play.backup = older.with_name("newer")
    found = play.restore("z")
    assert found.known and not found.later and found.done["consents"] == 0
    db = await open_database(play.store)
    async with db.reading() as transaction:
        assert await consent.consented(transaction, play.who, "marketing", NOW + 10)
    await db.close()


async def test_keys_roles_and_limits_stay_as_narrow_as_they_were(play: Play) -> None:
    async def narrow(db: Database, who: str) -> None:
        await key.revoke(db, play.ids[0], NOW + 5)
        await run(db, "UPDATE api_keys SET expires_at_ms = ?, models = '[\"a\"]' WHERE id = ?",
                  NOW + DAY_MS, play.ids[1])
        await role.take(db, SHELL, who, "support", NOW + 5)
        await limit.change(db, "account", who, {"requests_per_minute": "6"}, NOW + 5)

    async def widen(db: Database, who: str) -> None:
        await role.give(db, SHELL, who, "finance", NOW + 6)
        await key.create(db, who, KeyWish("three"), NOW + 6)

    await play.since(narrow, widen)
    found = play.restore()
    assert {name: found.done[name] for name in ("keys", "keys_narrowed", "roles", "limits")} == {
        "keys": 1, "keys_narrowed": 2, "roles": 1, "limits": 1}
    assert found.lost["api_keys"] == 1
    assert await play.row("SELECT state FROM api_keys WHERE id = ?", play.ids[0]) == ("revoked",)
    assert await play.row("SELECT expires_at_ms, models FROM api_keys WHERE id = ?", play.ids[1]
                          ) == (NOW + DAY_MS, '["a"]')
    # what was given since is not
    assert await play.row("SELECT count(*) FROM account_roles WHERE account_id = ?") == (0,)
    assert await play.row("SELECT value FROM account_limits WHERE account_id = ?") == (6,)


async def test_limits_that_were_raised_and_models_that_were_added_are_not(play: Play) -> None:
    async def narrow(db: Database, who: str) -> None:
        await run(db, "UPDATE api_keys SET models = '[\"a\"]' WHERE id = ?", play.ids[1])

    async def widen(db: Database, who: str) -> None:
        await limit.change(db, "account", who, {"requests_per_minute": "600"}, NOW + 5)
        await run(db, "UPDATE api_keys SET models = '[\"a\", \"b\"]' WHERE id = ?", play.ids[1])

    await play.since(narrow)
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    play.backup = play.backup.with_name("c")
    await play.since(widen)
    found = play.restore()
    assert found.later and not found.done["limits"] and not found.done["keys_narrowed"]


async def test_the_ways_in_are_the_last_ones(play: Play) -> None:
    async def change(db: Database, who: str) -> None:
        async with db.writing() as transaction:
            await store_holder.put(transaction, Holder(who, "argon-new", NOW + 5, None, NOW))
            found = await store_account.get(transaction, who)
            await transaction.run(
                "INSERT INTO totp (account_id, secret, confirmed, last_step, created_at_ms)"
                " VALUES (?, ?, 1, 5, 0)",
                (who, transaction.seal(who, "totp", "secret", who, "c2VjcmV0")))
            await transaction.run(
                "UPDATE accounts SET email = ?, email_index = ? WHERE id = ?",
                (transaction.seal(who, "accounts", "email", who, "new@example.org"),
                 transaction.blind("email", "new@example.org"), found.id))

    await play.since(change)
    found = play.restore()
    assert (found.done["passwords"], found.done["addresses"]) == (1, 1)
    db = await open_database(play.store)
    async with db.reading() as transaction:
        holder = await store_holder.find(transaction, play.who)
        assert holder is not None and holder.password == "argon-new"
        assert await transaction.row("SELECT last_step FROM totp") == (5,)
        assert await transaction.row("SELECT count(*) FROM sessions") == (0,)
    assert (await account.find(db, "new@example.org")).id == play.who
    await db.close()


@pytest.mark.parametrize("state", ["suspended", "terminated", "closing"])
async def test_who_was_shut_out_is_and_who_came_back_is(play: Play, state: str) -> None:
    async def shut(db: Database, who: str) -> None:
        await run(db, "UPDATE accounts SET state = ?, state_since_ms = ?, reason = 'abuse'"
                      " WHERE id = ?", state, NOW + 5, who)
        await run(db, "INSERT INTO erasures (id, account_id, cause, state, asked_at_ms, due_at_ms,"
                      " was) VALUES ('er_1', ?, 'holder', 'cooling', 1, 2, 'active')", who)

    async def back(db: Database, who: str) -> None:
        await run(db, "UPDATE accounts SET state = 'active', reason = NULL WHERE id = ?", who)
        await run(db, "UPDATE erasures SET state = 'cancelled', ended_at_ms = 9")

    await play.since(shut)
    assert play.restore().done["standings"] == 1
    assert await play.row("SELECT state, state_since_ms, reason FROM accounts WHERE id = ?") == (
        state, NOW + 5, "abuse")
    assert await play.row("SELECT state FROM erasures WHERE account_id = ?") == ("cooling",)
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    play.backup = play.backup.with_name("c")
    await play.since(back)
    assert play.restore("y").done["standings"] == 1
    assert await play.row("SELECT state FROM accounts WHERE id = ?") == ("active",)
    assert await play.row("SELECT state FROM erasures WHERE account_id = ?") == ("cancelled",)


async def test_the_erased_stay_with_their_certificate(play: Play) -> None:
    async def erase(db: Database, who: str) -> None:
        await erasure.at_once(db, Means(Signer(bytes(32)), Terms()), SHELL, who, NOW + 5)

    await play.since(erase)
    play.restore()
    db = await open_database(play.store)
    assert await tombstone.reapply(db, Terms(), NOW + 9) == 1
    events = [entry.event async for entry in audit.listing(db)]
    assert [event.action for event in events[-2:]] == ["store.restore", "account.erase"]
    assert '"sessions":1' in events[-2].details and '"later":true' in events[-2].details
    assert await tombstone.reapply(db, Terms(), NOW + 9) == 0
    await db.close()
    [certificate] = await play.row("SELECT certificate FROM erasures WHERE account_id = ?")
    assert certificate is not None


async def test_what_an_older_store_knows_that_was_replaced_before_is_taken_over(
        play: Play) -> None:
    """The key is not in the store between, which was made of an older backup."""
    async def make(db: Database, who: str) -> None:
        play.ids.append((await key.create(db, who, KeyWish("three"), NOW)).key.id)

    async def revoke(db: Database, who: str) -> None:
        await key.revoke(db, play.ids[2], NOW + 5)

    async def take_role(db: Database, who: str) -> None:
        await role.take(db, SHELL, who, "support", NOW + 6)

    older, newer = play.backup, play.backup.with_name("c")
    await play.since(make)
    take(play.store, newer, with_secret=False, created_at=AT)
    await play.since(revoke, take_role)
    play.restore()
    play.backup = newer
    found = play.restore("y")
    # the first of the two that were replaced goes on from it
    assert not found.later and (found.done["keys"], found.done["roles"]) == (1, 1)
    assert await play.row("SELECT state FROM api_keys WHERE id = ?", play.ids[2]) == ("revoked",)
    assert older.exists()


async def test_a_mail_that_was_sent_since_is_not_sent_again(play: Play) -> None:
    mail = ("INSERT INTO outbox (id, owner, account_id, kind, class, language, state, attempts,"
            " queued_at_ms, next_at_ms, recipient, fields) VALUES"
            " (?, ?, ?, 'k', 'service', 'en', 'queued', 0, 0, 0, x'00', x'00')")

    async def post(db: Database, who: str) -> None:
        for name in ("mail_1", "mail_2"):
            await run(db, mail, name, who, who)

    async def send(db: Database, who: str) -> None:
        await run(db, "UPDATE outbox SET state = 'sent', recipient = NULL, fields = NULL,"
                      " ended_at_ms = 1 WHERE id = 'mail_1'")

    await play.since(post)
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    play.backup = play.backup.with_name("c")
    await play.since(send)
    assert play.restore().done["mails"] == 1
    assert await play.row("SELECT group_concat(id) FROM outbox WHERE account_id = ?") == (
        "mail_2",)


@pytest.mark.parametrize("damage", ["zeros", "short", "tables"])
async def test_a_store_before_that_cannot_be_read_is_said_to_be(play: Play, damage: str) -> None:
    path = play.store / DATABASE_NAME
    if damage == "tables":
        with closing(sqlite3.connect(path)) as db:
            db.executescript("DROP TABLE passkeys")
    else:
        path.write_bytes(bytes(9000) if damage == "zeros" else path.read_bytes()[:5000])
    found = play.restore()
    assert (found.known, found.later, found.done, found.lost) == (
        False, False, {"sessions": 1}, {})
    assert await play.row("SELECT count(*) FROM sessions WHERE account_id <> ?") == (0,)


async def test_one_that_was_killed_after_it_moved_the_store_away_knows_it_still(
        play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def revoke(db: Database, who: str) -> None:
        await key.revoke(db, play.ids[0], NOW + 5)

    await play.since(revoke)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("relayd.store.restore._place", killed)
        patched.setattr("relayd.store.restore.remove_tree", lambda path: None)
        play.restore()
    assert (play.store / DRAFT_NAME).exists() and not (play.store / DATABASE_NAME).exists()
    with pytest.raises(StoreError):
        await open_database(play.store)
    assert play.restore("y").done["keys"] == 1


async def test_copies_from_before_there_were_these_tables_are_left_alone(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as db:
        db.executescript("CREATE TABLE schema_migrations (version INTEGER, name TEXT);"
                         "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);"
                         "INSERT INTO schema_migrations VALUES (13, 'x')")
    assert carry(old, None) == Carried(False, False, {}, {})
    assert carry(old, old) == Carried(False, False, {}, {})


def test_every_way_to_carry_is_told_of_in_words() -> None:
    steps = (*carry_module._TIMED, *carry_module._LATER, carry_module._ENDED)
    assert {name for name, _ in steps if name} == set(cli_backup._CARRIED)
    assert {name for name, _ in carry_module._LOST} == set(cli_backup._LOST)
    assert max(each.version for each in known()) >= carry_module.SINCE
