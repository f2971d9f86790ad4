"""A copy of a store that is in use: its journal's files, its database, a list of both.

Law: the journal is copied first and the database after it. A call that had ended before is then in
the one or in the other (the daemon removes journal files only of what the database has), and a
replay leaves out what is in both. What has a backup's name is whole, checked, on disk, mode 0600.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from relayd.ops.configfile_store import KEYS_NAME
from relayd.store import journal_segment
from relayd.store.directory import (
    DIRECTORY_MODE, FILE_MODE, StoreError, give_to_owner, sync_directory,
)
from relayd.store.draft import drafting
from relayd.store.journal_lane import FOLDER, lane_directory, lanes
from relayd.store.migration import known
from relayd.store.secret import FILE_NAME as SECRET_NAME
from relayd.store.transaction import mapped

DATABASE_NAME: Final = "relayd.db"
MANIFEST_NAME: Final = "manifest.json"
TAR_SUFFIX: Final = ".tar"
FORMAT: Final = 1
SAVED_FOLDER: Final = "backups"
DRAFT_NAME: Final = ".restore"
"""Is there while a restore goes on, and behind one that was killed."""
ASIDE_NAME: Final = "replaced-"
"""Begins the names of folders with stores that a restore replaced."""
SAVED_MAX: Final = 3
"""Copies from before a migration that are kept."""
SEALED_VERSION: Final = 5
"""The migration that sealed what is personal: copies from before it are in clear text."""
PIECE_BYTES: Final = 1024 * 1024
BUSY_SECONDS: Final = 5.0
NAME: Final = re.compile(r"relayd\.db|secret|journal/[0-9]{1,6}/[0-9]{12}\.journal")
"""The files that a backup may have, apart from its list."""
_PROCESS: Final = re.compile(r"\.db\.([0-9]{1,9})")
"""In the name of a draft: who writes it."""


class FileMark(msgspec.Struct, frozen=True):
    """One file of a backup: its length, and the SHA-256 of its bytes in hex."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The list of a backup. `schema` is the highest migration; `files` are relative paths."""

    format: int
    created_at: str
    schema: int
    files: dict[str, FileMark]


def take(store: Path, target: Path, *, with_secret: bool, created_at: str) -> Manifest:
    """Copies a store into a new directory, or a new tar file where the name ends in .tar.

    Beside a daemon or not; only reads. Raises StoreError: `backup_damaged` where the copy is not
    sound (so the store is not), FileExistsError where the target is there.
    """
    if target.exists():
        raise FileExistsError
    with mapped(), drafting(target.parent) as draft:
        made = draft / "files"
        manifest = _fill(store, made, with_secret, created_at)
        if target.suffix == TAR_SUFFIX:
            made = _pack(made, draft / "tar", manifest)
        made.rename(target)
        sync_directory(target.parent)
    return manifest


def take_keys(store: Path, target: Path) -> int:
    """Copies the data keys to a file of their own, which they replace; returns how many there are.

    Apart from the other files, for a shorter life: who has both, and the master key, reads what
    was erased since. Raises StoreError `store_keys` where there are none.
    """
    if not (store / KEYS_NAME).exists():
        raise StoreError("store_keys")
    with mapped(), drafting(target.parent) as draft:
        made = draft / KEYS_NAME
        copy_database(store / KEYS_NAME, made)
        with closing(sqlite3.connect(made)) as db:
            sound = db.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
            count = db.execute(
                "SELECT COUNT(*) FROM data_keys WHERE wrapped IS NOT NULL").fetchone()[0]
        if not sound:
            raise StoreError("backup_damaged")
        made.replace(target)
        sync_directory(target.parent)
    return int(count)


def _fill(store: Path, folder: Path, with_secret: bool, created_at: str) -> Manifest:
    make_directory(folder)
    files = dict(_copy_journal(store, folder))
    copy_database(store / DATABASE_NAME, folder / DATABASE_NAME)
    schema = judge(folder / DATABASE_NAME)
    files[DATABASE_NAME] = mark(folder / DATABASE_NAME)
    if with_secret:
        files[SECRET_NAME] = copy_file(store / SECRET_NAME, folder / SECRET_NAME)
    manifest = Manifest(FORMAT, created_at, schema, files)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    write_file(folder / MANIFEST_NAME, iter([text + b"\n"]))
    sync_directory(folder)
    return manifest


def _copy_journal(store: Path, folder: Path) -> Iterator[tuple[str, FileMark]]:
    make_directory(folder / FOLDER)
    for number in lanes(store):
        make_directory(folder / FOLDER / str(number))
        for path in journal_segment.paths(lane_directory(store, number)):
            name = f"{FOLDER}/{number}/{path.name}"
            yield name, write_file(folder / name, journal_segment.pieces(path))


def _pack(folder: Path, path: Path, manifest: Manifest) -> Path:
    """The same files as one, in `path`; the list comes last."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with open(handle, "wb") as file:
        give_to_owner(handle, path.parent)
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name in (*manifest.files, MANIFEST_NAME):
                tar.add(folder / name, name, recursive=False)
        file.flush()
        os.fsync(handle)
    return path


def copy_database(source: Path, target: Path) -> None:
    """One state of a database that others write to, as a file of its own without a WAL."""
    write_file(target, iter(()))
    address = f"file:{quote(str(source.absolute()))}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS,
                                 isolation_level=None)) as reader:
        reader.execute("PRAGMA query_only=ON")
        # only the daemon moves the WAL into the database (store/db.py)
        reader.execute("PRAGMA wal_autocheckpoint=0")
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            reader.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    with open(target, "rb") as file:
        os.fsync(file.fileno())


def judge(path: Path) -> int:
    """The highest migration of a database file that nobody writes to.

    Raises StoreError `backup_damaged` where it is not sound or no store, `store_newer`.
    """
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as db:
            sound = db.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
            versions = {row[0] for row in db.execute("SELECT version FROM schema_migrations")}
    except sqlite3.Error:
        raise StoreError("backup_damaged") from None
    if not sound or not versions:
        raise StoreError("backup_damaged")
    if versions - {migration.version for migration in known()}:
        raise StoreError("store_newer")
    return max(map(int, versions))


def secret_mark(path: Path) -> str | None:
    """What the database in this file keeps to recognise its secret by."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    with mapped(), closing(sqlite3.connect(address, uri=True)) as db:
        row = db.execute("SELECT value FROM meta WHERE name = 'secret_mark'").fetchone()
    return None if row is None else str(row[0])


def save_before_migration(directory: Path, version: int, stamp: str) -> Path:
    """Copies the database of a store to which the migration `version` will be applied next; a
    draft, for `keep_saved`. `stamp` is the time, as it will stand in the file's name.
    """
    folder = directory / SAVED_FOLDER
    if not folder.is_dir():
        with suppress(FileExistsError):  # another process was first
            make_directory(folder)
    draft = folder / f".before-{version:04d}-{stamp}.db.{os.getpid()}"
    for left in folder.glob(".before-*"):  # starts that are killed again and again fill the disk
        if not _is_another_process(left.name):
            left.unlink(missing_ok=True)
    try:
        copy_database(directory / DATABASE_NAME, draft)
    except BaseException:  # on a full disk each start would leave one more
        for left in folder.glob(f"{draft.name}*"):
            left.unlink(missing_ok=True)
        raise
    return draft


def _is_another_process(draft: str) -> bool:
    """Whether a process that runs beside this one may be writing this draft."""
    found = _PROCESS.search(draft)
    if found is None or int(found[1]) == os.getpid():
        return False  # a container's process has the same number each time
    try:
        os.kill(int(found[1]), 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def keep_saved(draft: Path) -> Path:
    """The copy has its name from now on; the newest `SAVED_MAX` are kept."""
    folder, target = draft.parent, draft.with_name(draft.stem.removeprefix("."))
    draft.rename(target)
    sync_directory(folder)
    for old in sorted(folder.glob("before-*.db"), key=_saved_at)[:-SAVED_MAX]:
        old.unlink(missing_ok=True)
    return target


def _saved_at(path: Path) -> tuple[str, str]:
    return path.name.rpartition("-")[2], path.name


def make_directory(path: Path) -> None:
    """A new directory, mode 0700, of its parent's owner where the caller is root."""
    path.mkdir(mode=DIRECTORY_MODE)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_to_owner(handle, path.parent)
    finally:
        os.close(handle)


def write_file(path: Path, pieces: Iterator[bytes]) -> FileMark:
    """A new file, mode 0600, on disk when this returns."""
    size, digest = 0, hashlib.sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                     FILE_MODE)
    with open(handle, "wb") as file:
        give_to_owner(handle, path.parent)
        for piece in pieces:
            size += file.write(piece)
            digest.update(piece)
        file.flush()
        os.fsync(handle)
    return FileMark(size, digest.hexdigest())


def copy_file(source: Path, target: Path) -> FileMark:
    """The same with another file's bytes; raises OSError where it is not there."""
    with open(source, "rb") as file:
        return write_file(target, iter(lambda: file.read(PIECE_BYTES), b""))


def mark(path: Path) -> FileMark:
    """What a file is."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileMark(path.stat().st_size, digest)


def remove_tree(path: Path) -> None:
    """Deletes a directory of ours with all in it; nothing where it is not there."""
    if not path.is_dir() or path.is_symlink():
        return
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            remove_tree(child)
        else:
            child.unlink()
    path.rmdir()


def _left(directory: Path) -> list[Path]:
    """All copies from before a migration, with those that a kill left half made."""
    folder = directory / SAVED_FOLDER
    return [*folder.glob("before-*.db"), *folder.glob(".before-*")] if folder.is_dir() else []


def expire_saved(directory: Path, before_ms: int, draft_before_ms: int | None = None) -> int:
    """Deletes copies from before a migration, stores that a restore replaced, and what a killed
    one of these left, that were made before a moment; returns how many.

    `draft_before_ms`: what a killed restore left goes by this moment, because data keys may be in
    it, which erasures since have destroyed everywhere else.
    """
    found, draft = 0, directory / DRAFT_NAME
    with mapped():
        for tree in (*directory.glob(f"{ASIDE_NAME}*"), draft):
            until_ms = before_ms if tree != draft else max(before_ms, draft_before_ms or 0)
            if tree.is_dir() and tree.stat().st_mtime_ns < until_ms * 1_000_000:
                remove_tree(tree)
                found += 1
        for old in _left(directory):
            if old.stat().st_mtime_ns < before_ms * 1_000_000:
                old.unlink(missing_ok=True)
                found += 1
    return found


def remove_unsealed(directory: Path, account: str) -> int:
    """Deletes copies from before personal columns were sealed that know whose an account was.

    Those in which it is erased already stay: they are the way back from the upgrade.
    """
    found = 0
    with mapped():
        for old in _left(directory):
            if int(old.name.split("-")[1]) <= SEALED_VERSION and not _forgot(old, account):
                old.unlink(missing_ok=True)
                found += 1
    return found


def _forgot(path: Path, account: str) -> bool:
    """Whether a copy has an account as erased, or not at all; False where it is not whole."""
    if path.name.startswith("."):
        return False
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as db:
            row = db.execute("SELECT state FROM accounts WHERE id = ?", (account,)).fetchone()
    except sqlite3.Error:
        return False
    return row is None or bool(row[0] == "erased")
