"""An older backup, put in place after an erasure: nobody comes back, and nothing of them opens."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relayd.control import (
    account, audit, erasure, key, network, publish, tombstone, usage, vault,
)
from relayd.control.erasure import Means
from relayd.control.key import KeyWish
from relayd.control.recovery import recover
from relayd.core.actor import SHELL
from relayd.core.network import NetworkRecord
from relayd.core.retention import Terms
from relayd.ops.config import MasterKey
from relayd.store import backup, migration
from relayd.store.backup import DATABASE_NAME, take, take_keys
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.journal import JournalWriter
from relayd.store.journal_lane import claim
from relayd.store.keyring import open_keyring
from relayd.store.record import CallFilter
from relayd.store.restore import Apart, restore
from relayd.store.signing import Signer
from tests.fakes.first_store import ANN, ERASED, write_first_store
from tests.fakes.person import make_person as make_everything
from tests.fakes.records import START_MS, call_record

EMAIL = "Zeisig.Person@example.org"
MARKS = (EMAIL, EMAIL.lower(), "zeisig-laptop", "zeisig-app", "Zeisig Name", "203.0.113.99")
MEANS = Means(Signer(bytes(32)), Terms())
AT = "2026-01-01T00:00:00.000Z"


async def make_person(db: Database) -> str:
    made = await account.create(db, EMAIL, "Zeisig Name", START_MS)
    issued = await key.create(db, made.id, KeyWish("zeisig-laptop", app="zeisig-app"), START_MS)
    await usage.post(db, [call_record(account=made.id, key=issued.key.id, app="zeisig-app")])
    await network.post(db, [NetworkRecord(
        START_MS, made.id, issued.key.id, "203.0.113.99", 4711, "1.3", "curl/8")])
    return made.id


def forms(text: str) -> tuple[bytes, ...]:
    return (text.encode(), text.encode("utf-16-le"), json.dumps(text).encode(),
            base64.b64encode(text.encode()).rstrip(b"="))


def hits(directory: Path) -> set[tuple[str, str]]:
    """Which marks are in which files, in any encoding."""
    return {(mark, path.name) for path in directory.rglob("*") if path.is_file()
            for mark in MARKS for form in forms(mark) if form in path.read_bytes()}


async def erased_after_a_backup(tmp_path: Path) -> tuple[Path, str]:
    """A store whose account is erased after `b` and its `keys` were made."""
    store = tmp_path / "store"
    db = await open_database(store)
    person = await make_person(db)
    await db.checkpoint()
    take(store, tmp_path / "b", with_secret=True, created_at=AT)
    take_keys(store, tmp_path / "keys")
    await erasure.at_once(db, MEANS, SHELL, person, START_MS)
    await db.close()
    return store, person


async def test_R2_what_is_sealed_in_an_older_backup_opens_no_more(tmp_path: Path) -> None:
    store, person = await erased_after_a_backup(tmp_path)
    assert hits(store) == set()
    # labels are compared by the relay and stand in clear: they go with the backup's own term
    assert hits(tmp_path / "b") == {("zeisig-app", DATABASE_NAME)}
    restore(tmp_path / "b", store, replace=True, stamp="x")
    db = await open_database(store)
    with pytest.raises(StoreError) as caught:
        db.keyring.cipher(person)
    assert caught.value.code == "data_key_gone"
    assert (await account.find(db, person)).email is None
    assert await tombstone.reapply(db, Terms(), START_MS) == 1
    assert await tombstone.reapply(db, Terms(), START_MS) == 0
    found = await account.find(db, person)
    assert (found.state, found.email, found.name) == ("erased", None, None)
    assert [record.app async for record in usage.calls(db, CallFilter())] == [None]
    await db.close()
    assert hits(store) == set()


async def test_R2_on_a_new_machine_the_same_with_the_latest_keys(tmp_path: Path) -> None:
    store, person = await erased_after_a_backup(tmp_path)
    take_keys(store, tmp_path / "keys")  # replaces the older one
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    master = MasterKey((store / "master.key").read_bytes().hex())
    restore(tmp_path / "b", new, replace=False, stamp="x",
            apart=Apart(keys=tmp_path / "keys", master=master))
    db = await open_database(new, master=master)
    assert await tombstone.reapply(db, Terms(), START_MS) == 1
    assert (await account.find(db, person)).state == "erased"
    await db.close()
    assert hits(new) == set()


async def test_keys_of_before_do_not_bring_anybody_back(tmp_path: Path) -> None:
    store, person = await erased_after_a_backup(tmp_path)
    restore(tmp_path / "b", store, replace=True, stamp="x", apart=Apart(keys=tmp_path / "keys"))
    db = await open_database(store)
    assert person in db.keyring.owners(destroyed=True)
    assert await tombstone.reapply(db, Terms(), START_MS) == 1
    await db.close()


async def test_a_backup_whose_keys_are_missing_is_refused(tmp_path: Path) -> None:
    store, _ = await erased_after_a_backup(tmp_path)
    other = tmp_path / "other"
    db = await open_database(other)
    await account.create(db, "another@example.org", None, START_MS)
    await db.close()
    for apart, code in (
        (Apart(store / "secret"), "store_keys"),
        (Apart(store / "secret", store / "keys.db"), "store_master_key"),
    ):
        with pytest.raises(StoreError) as caught:
            restore(tmp_path / "b", other, replace=True, stamp="x", apart=apart)
        assert caught.value.code == code
    db = await open_database(other)  # as it was
    assert (await account.find(db, "another@example.org")).state == "active"
    await db.close()


async def test_the_journal_brings_no_label_back(tmp_path: Path) -> None:
    db = await open_database(tmp_path)
    person = await make_person(db)
    [lane] = claim(tmp_path)
    journal = JournalWriter(lane.directory)
    await journal.start()
    journal.close(call_record(account=person, app="zeisig-app"))
    journal.close(call_record(account="acct_other", app="other-app"))
    await journal.stop(stored=False)
    await erasure.at_once(db, MEANS, SHELL, person, START_MS)
    found, _ = await recover(db, [lane])
    assert found.replayed == 2
    labels = {record.account: record.app async for record in usage.calls(db, CallFilter())}
    assert labels == {person: None, "acct_other": "other-app"}
    lane.release()
    await db.checkpoint()
    await db.close()
    assert hits(tmp_path) == set()


async def test_R2_copies_from_before_sealing_go_with_the_first_erasure(tmp_path: Path) -> None:
    db = await open_database(tmp_path)
    person = await make_person(db)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "before-0005-20260101T000000Z.db").write_text(EMAIL)
    await erasure.at_once(db, MEANS, SHELL, person, START_MS)
    await db.close()
    assert hits(tmp_path) == set()


async def old_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store from before sealing, with two accounts in clear, and its backup `b` beside it."""
    unsealed = [each for each in migration.known() if int(each.version) < migration.SEALED_SINCE]
    with monkeypatch.context() as patched:
        patched.setattr(migration, "known", lambda: unsealed)
        patched.setattr(backup, "known", lambda: unsealed)
        db = await open_database(store)
        async with db.writing() as transaction:
            await transaction.many(
                "INSERT INTO accounts VALUES (?, ?, ?, ?, 'active', 1)", [
                    ("acct_1", EMAIL, EMAIL.lower(), "Zeisig Name"),
                    ("acct_2", "other@example.org", "other@example.org", None)])
            await transaction.run(
                "INSERT INTO api_keys (id, account_id, digest, hint, name, app, state,"
                " created_at_ms) VALUES ('key_1', 'acct_1', ?, 'h', 'zeisig-laptop',"
                " 'zeisig-app', 'active', 1)", (bytes(32),))
        await db.checkpoint()
        await db.close()
        take(store, store.parent / "b", with_secret=True, created_at=AT)


async def test_R2_a_backup_from_before_sealing_brings_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    await old_store(store, monkeypatch)
    assert (EMAIL, DATABASE_NAME) in hits(store)
    db = await open_database(store)  # seals it
    assert (await account.find(db, EMAIL)).id == "acct_1"
    await erasure.at_once(db, MEANS, SHELL, "acct_1", START_MS)
    await db.close()
    assert hits(store) == set()
    restore(tmp_path / "b", store, replace=True, stamp="x")
    db = await open_database(store)
    assert await tombstone.reapply(db, Terms(), START_MS) == 0  # done before it was migrated
    assert (await account.find(db, "acct_1")).state == "erased"
    assert (await account.find(db, "other@example.org")).id == "acct_2"
    [gone] = await key.listing(db, "acct_1")
    assert (gone.state, gone.app) == ("revoked", None)
    await db.checkpoint()
    await db.close()
    assert hits(store) == set()


async def test_copies_from_before_sealing_stay_where_who_is_erased_was_so_already(
    tmp_path: Path
) -> None:
    write_first_store(tmp_path / "store")
    db = await open_database(tmp_path / "store")
    folder = db.directory / backup.SAVED_FOLDER
    assert await erasure.finish(db) == 1
    assert ERASED in db.keyring.owners(destroyed=True)
    records = [each async for each in usage.calls(db, CallFilter(account=ERASED))]
    assert [each.app for each in records] == [None]
    (saved,) = folder.iterdir()  # the way back
    assert b"ann@example.org" in saved.read_bytes()
    await erasure.at_once(db, MEANS, SHELL, ANN, START_MS)
    assert list(folder.iterdir()) == []
    await db.close()


async def test_R2_who_is_erased_again_is_erased_as_the_first_time(tmp_path: Path) -> None:
    store = tmp_path / "store"
    db = await open_database(store)
    who = await make_everything(db)
    other = (await account.create(db, "other@example.org", None, START_MS)).id
    await db.checkpoint()
    take(store, tmp_path / "b", with_secret=True, created_at=AT)
    await erasure.at_once(db, MEANS, SHELL, who, START_MS)
    kept = {item.kind: item.content["id"] for item in await vault.look(
        db, SHELL, who, "a case", START_MS) if "id" in item.content}
    await db.close()
    restore(tmp_path / "b", store, replace=True, stamp="x")
    db = await open_database(store)
    before = await publish.policy_version(db)
    assert await tombstone.reapply(db, Terms(), START_MS) == 1
    assert await publish.policy_version(db) > before
    # what a law wants kept is in the vault, and all the rest is gone
    assert kept and {item.kind: item.content["id"] for item in await vault.look(
        db, SHELL, who, "a case", START_MS) if "id" in item.content} == kept
    assert {each.state for each in await key.listing(db, who)} == {"revoked"}
    async with db.reading() as transaction:
        assert await transaction.rows(
            "SELECT 1 FROM tickets WHERE account_id = ?", (who,)) == []
    assert (await account.find(db, other)).state == "active"
    events = [(entry.event.action, entry.event.via, entry.event.target, entry.event.details)
              async for entry in audit.listing(db)
              if entry.event.action in ("store.restore", "account.erase")]
    assert events[-2][:3] == ("store.restore", "shell", None)
    assert events[-1] == ("account.erase", "system", who, '{"cause":"restore"}')
    # once
    assert await tombstone.reapply(db, Terms(), START_MS) == 0
    assert [entry.event.action async for entry in audit.listing(db)].count("store.restore") == 1
    await db.close()


async def test_R2_a_reader_in_the_way_of_wiping_is_told(tmp_path: Path) -> None:
    store, person = await erased_after_a_backup(tmp_path)
    restore(tmp_path / "b", store, replace=True, stamp="x")
    db, other = [await open_database(store, busy_ms=100) for _ in range(2)]
    async with other.reading() as transaction:
        await transaction.rows("SELECT * FROM accounts")
        with pytest.raises(StoreError) as caught:
            await tombstone.reapply(db, Terms(), START_MS)
    assert caught.value.code == "store_busy"
    assert (await account.find(db, person)).state == "erased"
    for each in (db, other):
        await each.close()


async def test_R2_a_kill_before_the_end_of_an_erasure_brings_nobody_back_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    db = await open_database(store)
    person = await make_person(db)
    await db.checkpoint()
    take(store, tmp_path / "b", with_secret=True, created_at=AT)
    (store / "backups").mkdir()
    (store / "backups" / "before-0005-20260101T000000Z.db").write_text(EMAIL)

    def killed(directory: Path, account: str) -> int:
        raise StoreError("store_failed")

    with monkeypatch.context() as patch:
        patch.setattr(backup, "remove_unsealed", killed)
        patch.setattr(db.keyring, "destroy", stopped)
        with pytest.raises(StoreError):
            await erasure.at_once(db, MEANS, SHELL, person, START_MS)
    await db.close()
    assert person in keys_of(store)
    restore(tmp_path / "b", store, replace=True, stamp="x")
    db = await open_database(store)
    assert await tombstone.reapply(db, Terms(), START_MS) == 1
    assert (await account.find(db, person)).state == "erased"
    await db.close()
    assert person not in keys_of(store) and hits(store / "backups") == set()


async def stopped(*owners: str) -> None:
    raise StoreError("store_failed")


def keys_of(store: Path) -> list[str]:
    ring = open_keyring(store)
    try:
        return ring.owners(prefix="acct_")
    finally:
        ring.close()


async def test_R2_whom_the_first_version_erased_no_backup_of_it_brings_back(
    tmp_path: Path
) -> None:
    for name in ("store", "b"):
        write_first_store(tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "b" / DATABASE_NAME)) as before, before:
        before.execute("UPDATE accounts SET state = 'active', email = ?, email_folded = ?"
                       " WHERE id = ?", (EMAIL, EMAIL.lower(), ERASED))
    restore(tmp_path / "b" / DATABASE_NAME, tmp_path / "store", replace=True, stamp="x")
    db = await open_database(tmp_path / "store")
    assert (await account.find(db, ERASED)).state == "erased"
    assert (await account.find(db, ANN)).email == "ann@example.org"
    await db.checkpoint()
    await db.close()
    assert hits(tmp_path / "store") == set()
