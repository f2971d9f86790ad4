"""Backups put in place: what is refused leaves the store as it was."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from relayd.ops.config import MasterKey
from relayd.store import restore as restore_module
from relayd.store.backup import DATABASE_NAME, DRAFT_NAME, MANIFEST_NAME, take
from relayd.store.carry import carry
from relayd.store.db import open_database
from relayd.store.directory import StoreError
from relayd.store.restore import Apart, is_empty, restore
from tests.store.test_backup import AT, count, make_store

STAMP = "20261124T230000Z"


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    await make_store(tmp_path / "store")
    return tmp_path / "store"


def apart(store: Path, secret: Path | None = None) -> Apart:
    """What a new place needs besides a backup of `store`."""
    return Apart(secret, store / "keys.db", MasterKey((store / "master.key").read_bytes().hex()))


def new_store(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir(mode=0o700)
    return tmp_path / "new"


@pytest.mark.parametrize("name", ["b", "b.tar"])
def test_into_an_empty_place(tmp_path: Path, store: Path, name: str) -> None:
    take(store, tmp_path / name, with_secret=True, created_at=AT)
    new = new_store(tmp_path)
    assert is_empty(new)
    done = restore(tmp_path / name, new, replace=False, stamp=STAMP, apart=apart(store))
    assert done.aside is None and done.manifest is not None
    assert (new / "secret").read_bytes() == (store / "secret").read_bytes()
    assert count(new / DATABASE_NAME) == 3
    assert [p.name for p in (new / "journal" / "0").iterdir()] == ["000000000001.journal"]
    assert not (new / DRAFT_NAME).exists() and not is_empty(new)


def test_over_a_store_only_when_told(tmp_path: Path, store: Path) -> None:
    take(store, tmp_path / "b", with_secret=False, created_at=AT)
    before = (store / DATABASE_NAME).read_bytes()
    with pytest.raises(StoreError) as refused:
        restore(tmp_path / "b", store, replace=False, stamp=STAMP)
    assert refused.value.code == "store_not_empty"
    done = restore(tmp_path / "b", store, replace=True, stamp=STAMP)
    assert done.aside == store / f"replaced-{STAMP}"
    assert (done.aside / DATABASE_NAME).read_bytes() == before
    assert (done.aside / "journal" / "0").is_dir() and (done.aside / "secret").exists()
    assert count(store / DATABASE_NAME) == 3


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("step, read", [
    # who reads the store before brings its WAL into the database, so that there is none to move
    *((step, True) for step in range(4)), *((step, False) for step in range(6))])
async def test_one_that_was_killed_is_run_again(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, step: int, read: bool
) -> None:
    """A start in between sees the store before, or none; no record of it is lost."""
    take(store, tmp_path / "b", with_secret=False, created_at=AT)
    db = await open_database(store)
    async with db.writing() as transaction:
        await transaction.run("INSERT INTO meta (name, value) VALUES ('later', '')")
    killed = tmp_path / "killed"
    shutil.copytree(store, killed)  # the row is in the WAL, as kill -9 leaves it
    killed.chmod(0o700)
    await db.close()
    steps = iter(range(99))

    def dying(way: Callable[..., object]) -> Callable[..., object]:
        def move(*places: object) -> object:
            if next(steps) == step:
                raise Killed
            return way(*places)
        return move

    with monkeypatch.context() as patched, pytest.raises(Killed):
        if not read:
            patched.setattr(restore_module, "carry", lambda draft, *_: carry(draft, None))
        patched.setattr(Path, "rename", dying(Path.rename))
        patched.setattr(os, "replace", dying(os.replace))
        patched.setattr(restore_module, "remove_tree", lambda path: None)
        restore(tmp_path / "b", killed, replace=True, stamp=STAMP)
    if not (killed / DATABASE_NAME).exists():
        with pytest.raises(StoreError) as refused:
            await open_database(killed)
        assert refused.value.code == "store_unfinished"
    restore(tmp_path / "b", killed, replace=True, stamp="again")
    assert later(killed) == 0
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in killed.glob(f"replaced-*/{DATABASE_NAME}*"):
        path.rename(aside / path.name)
    assert later(aside) == 1


def later(folder: Path) -> int:
    """How many rows there are of those that the backup has not."""
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as db:
        [(found,)] = db.execute("SELECT COUNT(*) FROM meta WHERE name = 'later'")
    return int(found)


def test_twice_within_a_second(tmp_path: Path, store: Path) -> None:
    take(store, tmp_path / "b", with_secret=False, created_at=AT)
    made = [restore(tmp_path / "b", store, replace=True, stamp=STAMP).aside for _ in range(3)]
    names = [f"replaced-{STAMP}", f"replaced-{STAMP}-2", f"replaced-{STAMP}-3"]
    assert made == [store / name for name in names]
    assert all(count(store / name / DATABASE_NAME) == 3 for name in names)


def test_a_database_alone(tmp_path: Path, store: Path) -> None:
    take(store, tmp_path / "b", with_secret=False, created_at=AT)
    done = restore(tmp_path / "b" / DATABASE_NAME, store, replace=True, stamp=STAMP)
    assert done.manifest is None and count(store / DATABASE_NAME) == 3
    assert [p.name for p in (store / "journal" / "0").iterdir()] == []


async def test_a_database_alone_that_is_in_use(tmp_path: Path, store: Path) -> None:
    db = await open_database(store)
    async with db.writing() as transaction:
        await transaction.run("DELETE FROM call_records")
    new = new_store(tmp_path)
    restore(store / DATABASE_NAME, new, replace=False, stamp=STAMP,
            apart=apart(store, store / "secret"))
    await db.close()
    assert count(new / DATABASE_NAME) == 0  # that was in the WAL


def test_the_secret_must_be_the_database_s_own(tmp_path: Path, store: Path) -> None:
    take(store, tmp_path / "b", with_secret=False, created_at=AT)
    new = new_store(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"x" * 32)
    for secret in (None, other):
        with pytest.raises(StoreError) as refused:
            restore(tmp_path / "b", new, replace=False, stamp=STAMP, apart=apart(store, secret))
        assert refused.value.code == "store_secret"
        assert list(new.iterdir()) == []
    restore(tmp_path / "b", new, replace=False, stamp=STAMP, apart=apart(store, store / "secret"))
    assert (new / "secret").read_bytes() == (store / "secret").read_bytes()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rename_in_list(folder: Path) -> None:
    value = json.loads((folder / MANIFEST_NAME).read_text())
    value["files"]["../outside"] = value["files"][DATABASE_NAME]
    (folder / MANIFEST_NAME).write_text(json.dumps(value))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "one bit of the database": lambda folder: flip(folder / DATABASE_NAME),
    "one bit of the journal": lambda folder: flip(
        folder / "journal" / "0" / "000000000001.journal"),
    "a file is gone": lambda folder: (folder / DATABASE_NAME).unlink(),
    "no list": lambda folder: (folder / MANIFEST_NAME).unlink(),
    "a list that is none": lambda folder: (folder / MANIFEST_NAME).write_text("[]"),
    "one bit of the list": lambda folder: (folder / MANIFEST_NAME).write_bytes(
        (folder / MANIFEST_NAME).read_bytes().replace(b"relayd.db", b"relayd\xaedb")),
    "a name that leads elsewhere": rename_in_list,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_refused_and_nothing_changes(
        tmp_path: Path, store: Path, damage: str, packed: bool) -> None:
    source = tmp_path / "b"
    take(store, source, with_secret=True, created_at=AT)
    DAMAGES[damage](source)
    if packed:
        source = tmp_path / "b.tar"
        with tarfile.open(source, "w") as tar:
            for path in (tmp_path / "b").rglob("*"):
                tar.add(path, str(path.relative_to(tmp_path / "b")), recursive=False)
    before = sorted(store.rglob("*"))
    with pytest.raises(StoreError) as refused:
        restore(source, store, replace=True, stamp=STAMP)
    assert refused.value.code == "backup_damaged"
    assert sorted(store.rglob("*")) == before and not (tmp_path / "outside").exists()


def test_something_else_is_no_backup(tmp_path: Path, store: Path) -> None:
    (tmp_path / "x").write_text("hello")
    with pytest.raises(StoreError) as refused:
        restore(tmp_path / "x", store, replace=True, stamp=STAMP)
    assert refused.value.code == "backup_damaged"
