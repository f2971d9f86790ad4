"""What a restore takes over from the store before: no right comes back that was taken since."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from relayd import cli_backup
from relayd.control import account, audit
from relayd.control import closing as closing_of
from relayd.control import consent, erasure, invoice, key, limit, role, session, tombstone
from relayd.control.door import Caller
from relayd.control.erasure import Means
from relayd.control.invoice import Draft, Seller
from relayd.control.key import KeyWish
from relayd.core.actor import SHELL, Actor
from relayd.core.consent import REQUIRED
from relayd.core.holder import Holder
from relayd.core.invoice import Line, month
from relayd.core.operator import Operator
from relayd.core.retention import Terms
from relayd.store import account as store_account
from relayd.store import carry as carry_module
from relayd.store import holder as store_holder
from relayd.store import migration
from relayd.store.backup import DATABASE_NAME, DRAFT_NAME, take
from relayd.store.carry import Carried, carry
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.invoice import InvoiceFilter
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


async def issued(db: Database, who: str, cause: str | None = None) -> str:
    async with db.writing() as transaction:
        return (await invoice.issue(transaction, Seller(Operator(name="Example Ltd")), Draft(
            who, "receipt" if cause else "use", "USD", month("2025-11"),
            [Line("use", "m", 123 * 10 ** 7)], cause), NOW)).id


async def documents(db: Database, who: str) -> list[tuple[str, str, int, int]]:
    return [(each.number, each.state, each.amount_nano, len(
        (await invoice.own(db, who, each.id)).lines))
        for each in await invoice.listing(db, InvoiceFilter(who))]


async def test_what_was_issued_since_keeps_its_number_and_none_is_given_twice(
        play: Play) -> None:
    made: list[str] = []
    was: dict[str, list[tuple[str, str, int, int]]] = {}

    async def before(db: Database, who: str) -> None:
        made.append(await issued(db, who))

    async def since(db: Database, who: str) -> None:
        made.append(await person(db, "bob"))
        await issued(db, made[1])
        await invoice.void(db, SHELL, made[0], "another buyer", Terms(), NOW)
        await issued(db, made[1], "order:ord_1")
        await closing_of.close(db, SHELL, Seller(Operator(name="Example Ltd")), "2025-11", NOW)
        was.update({each: await documents(db, each) for each in (who, made[1])})

    await play.since(before)
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    play.backup = play.backup.with_name("c")
    await play.since(since)
    found = play.restore()
    assert found.done["invoices"] == 3
    assert (found.lost["invoices"], found.lost["accounts"]) == (0, 1)
    db = await open_database(play.store)
    assert {each: await documents(db, each) for each in (play.who, made[1])} == was
    assert sorted(state for _, state, *_ in was[play.who]) == ["paid", "void"]
    # whoever came since has no right here, and can be asked; nothing is issued again
    assert (await account.find(db, "bob@example.org")).state == "suspended"
    assert await store_account_of(db, made[1]) == ("other", None)
    assert (await closing_of.months(db))[0].closed_ms == NOW
    closed = await closing_of.close(
        db, SHELL, Seller(Operator(name="Example Ltd")), "2025-11", NOW)
    assert (closed.invoices, closed.receipts, await invoice.gaps(db)) == (0, 0, [])
    assert (await invoice.own(db, play.who, await issued(db, play.who))
            ).number == "INV-2026-000004"
    await db.close()


async def store_account_of(db: Database, who: str) -> Any:
    async with db.reading() as transaction:
        return await transaction.row("SELECT reason, username FROM accounts WHERE id = ?", (who,))


@pytest.mark.parametrize("state", ["closing", "terminated", "erased"])
async def test_who_was_leaving_since_leaves_with_their_documents_kept(
        play: Play, state: str) -> None:
    gone: list[str] = []

    async def since(db: Database, who: str) -> None:
        gone.append(await person(db, "bob"))
        await issued(db, gone[0])
        if state == "erased":
            await erasure.at_once(db, Means(Signer(bytes(32)), Terms()), SHELL, gone[0], NOW + 5)
        else:
            await run(db, "UPDATE accounts SET state = ? WHERE id = ?", state, gone[0])
            await run(db, "INSERT INTO erasures (id, account_id, cause, state, asked_at_ms,"
                          " due_at_ms, was) VALUES ('er_1', ?, 'holder', 'cooling', 1, 2,"
                          " 'active')", gone[0])

    await play.since(since)
    assert play.restore().done["invoices"] == 1
    assert await play.row("SELECT state FROM accounts WHERE id = ?", gone[0]) == (state,)
    assert await play.row("SELECT count(*) FROM erasures WHERE account_id = ?", gone[0]) == (1,)
    assert await play.row("SELECT count(*) FROM invoices WHERE account_id = ?", gone[0]) == (1,)


async def test_documents_that_cannot_be_read_keep_no_right_from_ending(play: Play) -> None:
    async def since(db: Database, who: str) -> None:
        await issued(db, who)
        await key.revoke(db, play.ids[0], NOW + 5)

    await play.since(since)
    with closing(sqlite3.connect(play.store / DATABASE_NAME)) as db:
        db.executescript("DROP TABLE fapiao_files")
    found = play.restore()
    assert found.later and found.done["keys"] == 1 and "invoices" not in found.done
    assert found.lost["invoices"] == 1


async def test_fapiao_of_orders_that_are_there_are_as_they_were_last(play: Play) -> None:
    fapiao = ("INSERT INTO fapiao (id, account_id, kind, state, amount_minor, tax_minor, vat_rate,"
              " created_at_ms, until_ms, vault_year, buyer)"
              " VALUES (?, ?, 'ordinary', 'reviewing', 5, 0, 0, 1, 2, 2030, x'00')")
    order = ("INSERT INTO orders (id, account_id, partner, currency, amount_minor, state,"
             " created_at_ms, expires_at_ms) VALUES (?, ?, 'card', 'CNY', 5, 'credited', 1, 2)")

    async def apply(db: Database, who: str, name: str) -> None:
        await run(db, fapiao, f"fap_{name}", who)
        await run(db, "INSERT INTO fapiao_orders VALUES (?, ?, 5)", f"fap_{name}", f"ord_{name}")

    async def before(db: Database, who: str) -> None:
        for name in "abd":
            await run(db, order, f"ord_{name}", who)
        await apply(db, who, "a")

    async def since(db: Database, who: str) -> None:
        await run(db, "UPDATE fapiao SET state = 'issued', number = ?, issued_on = '2026-01-01'",
                  "2" * 20)
        await run(db, "INSERT INTO fapiao_files VALUES ('fap_a', 'xml', 1, x'01')")
        await run(db, order, "ord_c", who)
        for name in "bc":
            await apply(db, who, name)
        # a part of a fapiao that is about an order which the backup has not
        await apply(db, who, "d")
        await run(db, "UPDATE fapiao SET reverses = 'fap_c', amount_minor = -5"
                      " WHERE id = 'fap_d'")

    await play.since(before)
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    play.backup = play.backup.with_name("c")
    await play.since(since)
    found = play.restore()
    assert (found.done["fapiao"], found.lost["fapiao"], found.lost["orders"]) == (2, 2, 1)
    assert await play.row("SELECT count(*) FROM pragma_foreign_key_check WHERE ? <> ''") == (0,)
    assert await play.row("SELECT group_concat(id || ' ' || state || ' ' || IFNULL(number, ''))"
                          " FROM fapiao WHERE account_id = ?") == (
        f"fap_a issued {'2' * 20},fap_b reviewing ",)
    assert await play.row("SELECT count(*) FROM fapiao_orders WHERE order_id <> ?") == (2,)
    assert await play.row("SELECT count(*) FROM fapiao_files WHERE fapiao_id = ?", "fap_a") == (1,)


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


async def test_sessions_end_in_a_backup_of_every_version_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (5, 6, carry_module.SINCE - 1):
        store = tmp_path / str(version)
        with monkeypatch.context() as patch:
            patch.setattr(migration, "known", lambda had=known()[:version]: had)
            db = await open_database(store)
        if version >= 6:
            async with db.writing() as transaction:
                await transaction.run(
                    "INSERT INTO accounts (id, email, email_index, state, state_since_ms,"
                    " created_at_ms) VALUES ('a', x'00', zeroblob(32), 'active', 1, 1)")
                await transaction.run(
                    "INSERT INTO sessions VALUES ('s', zeroblob(32), 'a', 'open', 'password', 0,"
                    " '', NULL, 1, 1, 1)")
        await db.checkpoint()
        await db.close()
        assert carry(store / DATABASE_NAME, None).done == ({"sessions": 1} if version >= 6 else {})


def test_every_way_to_carry_is_told_of_in_words() -> None:
    steps = (*carry_module._TIMED, *carry_module._LATER, *carry_module._DOCUMENTS,
             carry_module._ENDED)
    assert {name for name, _ in steps if name} == set(cli_backup._CARRIED)
    assert {name for name, _ in carry_module._LOST} == set(cli_backup._LOST)
    assert max(each.version for each in known()) >= carry_module.SINCE


@pytest.mark.parametrize(("backup", "before", "then"), [
    (None, "objected 5", "objected 5"), ("agreed 3", "objected 5", "objected 5"),
    ("agreed 5", "objected 5", "objected 5"), ("agreed 9", "objected 5", "agreed 9"),
    ("objected 3", "objected 5", "objected 3"), ("objected 3", "agreed 5", "objected 3"),
    (None, "agreed 5", None), ("agreed 3", None, "agreed 3"),
])
async def test_an_objection_stays_unless_it_was_taken_back(
    play: Play, backup: str | None, before: str | None, then: str | None
) -> None:
    async def told(db: Database, who: str) -> None:
        await run(db, "INSERT INTO notices VALUES ('ntc_1', 'transfer', '{}', 0, 1, 0, '', NULL)")

    async def answered(db: Database, who: str, answer: str | None) -> None:
        await run(db, "DELETE FROM notice_answers")
        if answer is not None:
            said, at_ms = answer.split()
            await run(db, "INSERT INTO notice_answers VALUES ('ntc_1', ?, ?, ?)", who, said, at_ms)

    await play.since(told, lambda db, who: answered(db, who, backup))
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    older, play.backup = play.backup, play.backup.with_name("c")
    await play.since(lambda db, who: answered(db, who, before))
    assert play.restore().done["objections"] == (before is not None and then == before)
    found = await play.row(
        "SELECT answer || ' ' || at_ms FROM notice_answers WHERE account_id = ?")
    assert found == (None if then is None else (then,))
    # a backup from before the notice knows nothing that could be answered
    play.backup = older
    assert play.restore("y").done["objections"] == 0


@pytest.mark.parametrize(("backup", "before", "narrowed"), [
    (None, 9, 1), (10, 9, 1), (9, 9, 0), (8, 9, 0), (8, None, 0)])
async def test_a_key_ends_no_later_than_it_was_to_end(
    play: Play, backup: int | None, before: int | None, narrowed: int
) -> None:
    async def ends(db: Database, at_ms: int | None) -> None:
        await run(db, "UPDATE api_keys SET expires_at_ms = ? WHERE id = ?", at_ms, play.ids[0])

    await play.since(lambda db, who: ends(db, backup))
    take(play.store, play.backup.with_name("c"), with_secret=False, created_at=AT)
    play.backup = play.backup.with_name("c")
    await play.since(lambda db, who: ends(db, before))
    assert play.restore().done["keys_narrowed"] == narrowed
    assert await play.row("SELECT expires_at_ms FROM api_keys WHERE id = ?", play.ids[0]) == (
        before if narrowed else backup,)
