"""What a copy still has of the erased: found by their keys' tombstones, and taken away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from relayd.control import account, key
from relayd.control.key import KeyWish
from relayd.store import tombstone
from relayd.store.db import FILE_NAME, Database

NOW = 1_763_000_000_000


async def test_who_lives(db: Database) -> None:
    one = await account.create(db, "one@example.com", None, NOW)
    two = await account.create(db, "two@example.com", None, NOW)
    await db.checkpoint()
    assert tombstone.living_in(db.directory / FILE_NAME) == {one.id, two.id}
    async with db.reading() as transaction:
        assert await tombstone.living(transaction, [two.id, "acct_unknown"]) == [two.id]


async def test_who_is_erased_is_read_behind_the_database_too(db: Database, tmp_path: Path) -> None:
    one = await account.create(db, "one@example.com", None, NOW)
    await account.create(db, "two@example.com", None, NOW)
    async with db.writing() as transaction:
        await tombstone.blank(transaction, one.id, NOW + 1)
    path, wal = db.directory / FILE_NAME, db.directory / f"{FILE_NAME}-wal"
    size = wal.stat().st_size
    assert tombstone.erased_in(path) == {one.id} and wal.stat().st_size == size > 0
    (tmp_path / "damaged").write_bytes(b"no database at all, though of some length" * 99)
    assert tombstone.erased_in(tmp_path / "damaged") == tombstone.erased_in(tmp_path / "none")
    assert not (tmp_path / "none").exists()


async def test_blanking_opens_nothing(db: Database) -> None:
    one = await account.create(db, "one@example.com", "One", NOW)
    other = await account.create(db, "two@example.com", "Two", NOW)
    issued = await key.create(db, one.id, KeyWish(
        "laptop", app="my app", models=("my-*",)), NOW)
    await db.keyring.destroy(one.id)
    async with db.writing() as transaction:
        await tombstone.blank(transaction, one.id, NOW + 1)
    async with db.reading() as transaction:
        row = await transaction.row("SELECT name, app, models, state FROM api_keys WHERE id = ?",
                                    (issued.key.id,))
    assert row == (None, None, None, "revoked")
    found = await account.find(db, one.id)
    assert (found.state, found.email, found.name, found.state_since_ms) == (
        "erased", None, None, NOW + 1)
    assert await account.find(db, other.id) == other


def old_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""
            CREATE TABLE accounts (id TEXT, email TEXT, email_folded TEXT, name TEXT, state TEXT);
            CREATE TABLE api_keys (id TEXT, account_id TEXT, name TEXT, app TEXT, models TEXT,
                                   state TEXT);
            CREATE TABLE call_records (id TEXT, account_id TEXT, app TEXT);
            INSERT INTO accounts VALUES
                ('a', 'zeisig@x.example', 'zeisig@x.example', 'Z', 'active'),
                ('b', 'other@x.example', 'other@x.example', NULL, 'active');
            INSERT INTO api_keys VALUES
                ('k', 'a', 'zeisig-laptop', 'zeisig-app', '["zeisig-*"]', 'active'),
                ('l', 'b', 'other', 'other-app', NULL, 'active');
            INSERT INTO call_records VALUES ('c', 'a', 'zeisig-app'), ('d', 'b', 'other-app');
        """)


def test_a_file_from_before_sealing_is_blanked_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old_file(path)
    assert tombstone.blank_unsealed(path, 5, {"a"}) == 0
    assert tombstone.blank_unsealed(path, 4, set()) == 0
    assert b"zeisig" in path.read_bytes()
    assert tombstone.blank_unsealed(path, 4, {"a", "nobody"}) == 1
    assert b"zeisig" not in path.read_bytes() and b"other-app" in path.read_bytes()
    assert tombstone.living_in(path) == {"b"}
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT app FROM call_records ORDER BY id").fetchall() == [
            (None,), ("other-app",)]
        assert db.execute("SELECT name, state FROM api_keys ORDER BY id").fetchall() == [
            ("erased", "revoked"), ("other", "active")]
