"""Copies of stores: whole, closed to others, and taken before the schema changes."""

from __future__ import annotations

import errno
import os
import sqlite3
import shutil
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from relayd.control import usage
from relayd.control.recovery import recover
from relayd.store import backup, migration
from relayd.store import db as db_module
from relayd.store.applied import Applied
from relayd.store.backup import (
    DATABASE_NAME, DRAFT_NAME, MANIFEST_NAME, SAVED_FOLDER, SAVED_MAX, Manifest, expire_saved,
    judge, mark, remove_unsealed, secret_mark, take, take_keys,
)
from relayd.store.connection import Connection
from relayd.store.db import open_database
from relayd.store.directory import StoreError
from relayd.store.journal import JournalWriter
from relayd.store.journal_frame import CLOSE, frame
from relayd.store.journal_lane import claim
from relayd.store.keyring import open_keyring
from relayd.store.migration import Migration
from tests.fakes.first_store import write_first_store
from tests.fakes.records import call_record

AT = "2026-11-24T23:00:00.000Z"


async def make_store(directory: Path, records: int = 3) -> None:
    db = await open_database(directory)
    await usage.post_each(db, [call_record() for _ in range(records)],
                          applied=Applied(0, records))
    (lane,) = claim(directory)
    line = frame(records + 1, CLOSE, msgspec.msgpack.encode(call_record()))
    (lane.directory / "000000000001.journal").write_bytes(line)
    lane.release()
    await db.close()


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT COUNT(*) FROM call_records").fetchone()[0])


async def test_a_directory_has_all_and_its_list(tmp_path: Path) -> None:
    await make_store(tmp_path / "store")
    manifest = take(tmp_path / "store", tmp_path / "b", with_secret=False, created_at=AT)
    assert manifest == msgspec.json.decode((tmp_path / "b" / MANIFEST_NAME).read_bytes(),
                                           type=Manifest)
    assert sorted(manifest.files) == ["journal/0/000000000001.journal", DATABASE_NAME]
    assert {name: mark(tmp_path / "b" / name) for name in manifest.files} == manifest.files
    assert count(tmp_path / "b" / DATABASE_NAME) == 3
    assert manifest.schema == judge(tmp_path / "b" / DATABASE_NAME)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "store"]


async def test_a_journal_that_is_being_written_is_copied_without_its_room(
    tmp_path: Path, way: str
) -> None:
    await make_store(tmp_path / "store")
    (lane,) = claim(tmp_path / "store")
    writer = JournalWriter(lane.directory, number=4)
    await writer.start()
    for _ in range(3):
        writer.close(call_record())
    manifest = take(tmp_path / "store", tmp_path / "b", with_secret=True, created_at=AT)
    assert sum(each.bytes for name, each in manifest.files.items()
               if name.startswith("journal/")) < 2 * 1024 * 1024
    await writer.stop(stored=False)
    lane.release()
    for name in ("keys.db", "master.key"):
        shutil.copy2(tmp_path / "store" / name, tmp_path / "b" / name)
    db = await open_database(tmp_path / "b")
    lanes = claim(tmp_path / "b")
    found, _ = await recover(db, lanes)
    assert (found.files, found.replayed, found.torn_bytes) == (2, 4, 0)
    for each in lanes:
        each.release()
    await db.close()


async def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    await make_store(tmp_path / "store")
    take(tmp_path / "store", tmp_path / "b", with_secret=True, created_at=AT)
    take(tmp_path / "store", tmp_path / "b.tar", with_secret=True, created_at=AT)
    for path in (tmp_path / "b", tmp_path / "b.tar", *(tmp_path / "b").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["b", "b.tar"])
async def test_what_root_makes_belongs_to_the_owner_of_its_directory(
        tmp_path: Path, name: str) -> None:
    await make_store(tmp_path / "store")
    (tmp_path / "copies").mkdir()
    os.chown(tmp_path / "copies", 12345, 12345)
    made = tmp_path / "copies" / name
    take(tmp_path / "store", made, with_secret=True, created_at=AT)
    assert {path.stat().st_uid for path in (made, *made.rglob("*"))} == {12345}


@pytest.mark.parametrize("with_secret", [False, True])
async def test_one_file_has_the_same(tmp_path: Path, with_secret: bool) -> None:
    await make_store(tmp_path / "store")
    manifest = take(tmp_path / "store", tmp_path / "b.tar", with_secret=with_secret,
                    created_at=AT)
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames() == [*manifest.files, MANIFEST_NAME]
    assert ("secret" in manifest.files) == with_secret
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.tar", "store"]


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    await make_store(tmp_path / "store")
    (tmp_path / "b").mkdir()
    with pytest.raises(FileExistsError):
        take(tmp_path / "store", tmp_path / "b", with_secret=False, created_at=AT)


async def test_a_damaged_store_gives_no_backup(tmp_path: Path) -> None:
    await make_store(tmp_path / "store", 2000)
    path = tmp_path / "store" / DATABASE_NAME
    data = bytearray(path.read_bytes())
    for at in range(8 * 4096, len(data), 4096):
        data[at:at + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError) as found:
        take(tmp_path / "store", tmp_path / "b", with_secret=False, created_at=AT)
    assert found.value.code in ("backup_damaged", "store_damaged")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


async def test_what_is_judged(tmp_path: Path) -> None:
    await make_store(tmp_path / "store")
    take(tmp_path / "store", tmp_path / "b", with_secret=False, created_at=AT)
    path = tmp_path / "b" / DATABASE_NAME
    assert secret_mark(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO schema_migrations VALUES (9999, 'later')")
    with pytest.raises(StoreError) as newer:
        judge(path)
    assert newer.value.code == "store_newer"
    for content in (b"", b"no database at all", path.read_bytes()[:5000]):
        path.write_bytes(content)
        with pytest.raises(StoreError) as damaged:
            judge(path)
        assert damaged.value.code == "backup_damaged"


async def test_a_migration_makes_a_copy_first(tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    await make_store(tmp_path / "store")
    saved = tmp_path / "store" / SAVED_FOLDER
    assert not saved.exists()
    known = migration.known()
    for number in range(1, SAVED_MAX + 2):
        known = [*known, Migration(len(known) + 1, "more", f"CREATE TABLE more{number} (a);\n")]
        for module in (migration, backup):
            monkeypatch.setattr(module, "known", lambda known=known: known)
        await (await open_database(tmp_path / "store")).close()
        await (await open_database(tmp_path / "store")).close()
        assert len(list(saved.iterdir())) == min(number, SAVED_MAX)
    (oldest, *_, newest) = sorted(saved.iterdir())
    assert newest.name.startswith(f"before-{len(known):04d}-")
    assert judge(newest) == len(known) - 1 and count(newest) == 3
    assert judge(oldest) == len(known) - SAVED_MAX


async def test_of_two_that_migrate_at_once_one_keeps_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make_store(tmp_path / "store")
    known = [*migration.known(), Migration(len(migration.known()) + 1, "more",
                                           "CREATE TABLE more (a);\n")]
    for module in (migration, backup):
        monkeypatch.setattr(module, "known", lambda: known)
    pending = migration.pending

    async def another_is_first(connection: Connection) -> list[int]:
        missing = await pending(connection)
        monkeypatch.setattr(db_module, "pending", pending)
        await (await open_database(tmp_path / "store")).close()
        return missing

    monkeypatch.setattr(db_module, "pending", another_is_first)
    await (await open_database(tmp_path / "store")).close()
    [saved] = (tmp_path / "store" / SAVED_FOLDER).iterdir()
    assert judge(saved) == len(known) - 1 and count(saved) == 3


async def test_a_new_store_and_a_later_one_make_none(tmp_path: Path) -> None:
    await make_store(tmp_path / "store")
    with closing(sqlite3.connect(tmp_path / "store" / DATABASE_NAME)) as db, db:
        db.execute("INSERT INTO schema_migrations VALUES (9999, 'later')")
        db.execute("DELETE FROM schema_migrations WHERE version = 2")
    with pytest.raises(StoreError) as newer:
        await open_database(tmp_path / "store")
    assert newer.value.code == "store_newer"
    assert not (tmp_path / "store" / SAVED_FOLDER).exists()


async def test_a_copy_that_the_disk_has_no_room_for_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_first_store(tmp_path / "store")

    def half(source: Path, target: Path) -> None:
        for end in ("", "-wal"):
            target.with_name(f"{target.name}{end}").write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        patch.setattr(backup, "copy_database", half)
        for _ in range(2):
            with pytest.raises(StoreError) as full:
                await open_database(tmp_path / "store")
            assert "No space left" in full.value.sentence
    assert list((tmp_path / "store" / SAVED_FOLDER).iterdir()) == []
    await (await open_database(tmp_path / "store")).close()
    assert len(list((tmp_path / "store" / SAVED_FOLDER).iterdir())) == 1


async def test_what_starts_that_were_killed_have_copied_goes(tmp_path: Path) -> None:
    """One that is killed again and again, for its memory or its time, filled the disk."""
    write_first_store(tmp_path / "store")
    saved = tmp_path / "store" / SAVED_FOLDER
    saved.mkdir()
    ended, parent = 1 << 24, os.getppid()  # more than a system gives, and one that lives
    for end in (f"{ended}", f"{ended}-journal", f"{os.getpid()}", f"{parent}"):
        (saved / f".before-0002-20260101T000000Z.db.{end}").write_bytes(b"half of it")
    await (await open_database(tmp_path / "store")).close()
    left, kept = sorted(path.name for path in saved.iterdir())
    assert left.endswith(f".db.{parent}") and kept.startswith("before-")


async def test_data_keys_are_a_file_of_their_own_that_is_replaced(tmp_path: Path) -> None:
    store, target = tmp_path / "store", tmp_path / "keys"
    with pytest.raises(StoreError) as refused:
        take_keys(tmp_path, target)
    assert refused.value.code == "store_keys" and not target.exists()
    await make_store(store)
    ring = open_keyring(store)
    ring.make_now("acct_1", "acct_2")
    first = take_keys(store, target)
    ring.destroy_now("acct_1")
    assert take_keys(store, target) == first - 1
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "store"]
    take(store, tmp_path / "b", with_secret=True, created_at=AT)
    assert not list((tmp_path / "b").rglob("*key*"))  # neither they nor the master key
    ring.close()


async def test_old_copies_go(tmp_path: Path) -> None:
    now_ms = 1_763_000_000_000
    (tmp_path / SAVED_FOLDER).mkdir()
    names = [tmp_path / SAVED_FOLDER / f"before-{n:04d}-x.db" for n in (4, 5, 6)]
    for path in names:
        path.touch()
    replaced = [tmp_path / f"replaced-{n}" for n in (1, 2)]
    for path in replaced:
        (path / "journal" / "0").mkdir(parents=True)
        (path / DATABASE_NAME).touch()
    for path, age_ms in ((names[2], -1), (names[1], 1), (replaced[0], -1), (replaced[1], 1)):
        os.utime(path, ns=((now_ms + age_ms) * 1_000_000,) * 2)
    os.utime(names[0], ns=((now_ms + 1) * 1_000_000,) * 2)
    assert expire_saved(tmp_path, now_ms) == 2
    assert [path.exists() for path in (*names, *replaced)] == [True, True, False, False, True]
    assert remove_unsealed(tmp_path, "acct_1") == 2
    assert not any(path.exists() for path in names) and expire_saved(tmp_path / "none", 0) == 0


async def test_what_a_kill_left_half_made_goes_too(tmp_path: Path) -> None:
    now_ms = 1_763_000_000_000
    (tmp_path / SAVED_FOLDER).mkdir()
    halves = [tmp_path / SAVED_FOLDER / f".before-{n:04d}-x.db.77{end}"
              for n in (5, 6) for end in ("", "-journal")]
    for path in halves:
        path.touch()
    (tmp_path / DRAFT_NAME).mkdir()
    (tmp_path / DRAFT_NAME / DATABASE_NAME).touch()
    assert expire_saved(tmp_path, now_ms) == 0
    assert remove_unsealed(tmp_path, "acct_1") == 2
    assert [path.exists() for path in halves] == [False, False, True, True]
    for path in (*halves[2:], tmp_path / DRAFT_NAME):
        os.utime(path, ns=((now_ms - 1) * 1_000_000,) * 2)
    assert expire_saved(tmp_path, now_ms) == 3
    assert not any((tmp_path / SAVED_FOLDER).iterdir()) and not (tmp_path / DRAFT_NAME).exists()


async def test_keys_in_what_a_killed_restore_left_go_after_a_day(tmp_path: Path) -> None:
    """Long before copies of the database do: they open what was erased since."""
    now_ms, day_ms = 1_763_000_000_000, 86_400_000
    (tmp_path / DRAFT_NAME).mkdir()
    (tmp_path / DRAFT_NAME / "keys.db").write_bytes(b"a key")
    (tmp_path / "replaced-1").mkdir()
    for path in (tmp_path / DRAFT_NAME, tmp_path / "replaced-1"):
        os.utime(path, ns=((now_ms - day_ms) * 1_000_000,) * 2)
    assert expire_saved(tmp_path, now_ms - 35 * day_ms, now_ms - day_ms) == 0
    assert expire_saved(tmp_path, now_ms - 35 * day_ms, now_ms - day_ms + 1) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["replaced-1"]
