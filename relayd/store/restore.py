"""A backup put in a store's place: what store/backup.py made, or a database file alone.

Law: all is copied into the store's directory and checked before anything there is touched; what
was there is kept under another name, and the rights that ended there end in the copy as well
(store/carry.py). The caller holds the store's lock.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from relayd.ops.config import MasterKey
from relayd.ops.configfile_store import KEYS_NAME
from relayd.store import journal_segment
from relayd.store import master as master_file
from relayd.store import secret as secrets_file
from relayd.store.backup import (
    ASIDE_NAME, DATABASE_NAME, DRAFT_NAME, FORMAT, MANIFEST_NAME, NAME, PIECE_BYTES, Manifest,
    copy_database, copy_file, judge, make_directory, remove_tree, remove_unsealed, secret_mark,
    write_file,
)
from relayd.store.carry import Carried, carry
from relayd.store.directory import StoreError, sync_directory
from relayd.store.journal_lane import FOLDER, lane_directory, lanes
from relayd.store.keyring import Keyring
from relayd.store.migration import SEALED_SINCE
from relayd.store.secret import FILE_NAME as SECRET_NAME
from relayd.store.tombstone import blank_unsealed, erased_in, living_in
from relayd.store.transaction import mapped

MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024
_DATABASE: Final = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
_MOVED: Final = (*_DATABASE, FOLDER)


class Apart(NamedTuple):
    """What is not in a backup, if it is to be taken from elsewhere than the store's directory: the
    files with the secret and with the data keys, and where the master key is."""

    secret: Path | None = None
    keys: Path | None = None
    master: MasterKey | None = None


class Restored(NamedTuple):
    """What was put in place; `aside` is where the store before is, None where there was none."""

    manifest: Manifest | None
    aside: Path | None
    carried: Carried


def is_empty(store: Path) -> bool:
    """Whether there is neither a database nor a line of a journal.

    A WAL alone, which a killed restore left, would be taken for the next database's own.
    """
    return not any((store / name).exists() for name in _DATABASE) and not any(
        journal_segment.paths(lane_directory(store, number)) for number in lanes(store))


def restore(source: Path, store: Path, *, replace: bool, stamp: str,
            apart: Apart = Apart()) -> Restored:
    """Puts a backup in place. The secret is the backup's, else that of `apart`, else the store's;
    the data keys are the store's, and what those of `apart` have besides.

    Raises StoreError: `store_not_empty` without `replace`, `backup_damaged`, `store_newer`,
    `store_secret` where no secret is the backup's own, `store_keys` where data keys of its
    accounts are missing, `store_master_key`; then the store is as it was.
    """
    if not replace and not is_empty(store):
        raise StoreError("store_not_empty")
    draft = store / DRAFT_NAME
    with mapped():
        before = _before(store)
        remove_tree(draft)
        make_directory(draft)
        try:
            manifest = _unpack(source, draft)
            schema = judge(draft / DATABASE_NAME)
            _find_secret(draft, store, apart.secret)
            _find_keys(draft, store, apart, schema, erased_in(before) if before else set())
            carried = carry(draft / DATABASE_NAME, before,
                            [path for path in _replaced(store) if path != before])
            aside = None if is_empty(store) else _free(store / f"{ASIDE_NAME}{stamp}")
            if aside is not None:
                _move_aside(store, aside)
            _place(draft, store)
        finally:
            remove_tree(draft)
    return Restored(manifest, aside, carried)


def _before(store: Path) -> Path | None:
    """The database of the store before: where it is, or where a restore that was killed put it."""
    if (store / DATABASE_NAME).exists():
        return store / DATABASE_NAME
    if not (store / DRAFT_NAME).exists():
        return None
    return max(_replaced(store), default=None, key=lambda path: path.parent.stat().st_mtime_ns)


def _replaced(store: Path) -> list[Path]:
    """The databases of stores that restores replaced, as far as they are kept."""
    return sorted(store.glob(f"{ASIDE_NAME}*/{DATABASE_NAME}"))


def _unpack(source: Path, draft: Path) -> Manifest | None:
    """Copies what is listed, and holds it against the list; None for a database alone."""
    try:
        if source.is_dir():
            manifest = _manifest((source / MANIFEST_NAME).read_bytes())
            for name in manifest.files:
                _hold(manifest, name, _file(source / name), draft)
            return manifest
        if tarfile.is_tarfile(source):
            return _unpack_tar(source, draft)
    except (FileNotFoundError, tarfile.TarError):
        raise StoreError("backup_damaged") from None
    if source.with_name(f"{source.name}-wal").exists():  # in use, or left by a crash
        copy_database(source, draft / DATABASE_NAME)
    else:
        copy_file(source, draft / DATABASE_NAME)
    return None


def _unpack_tar(source: Path, draft: Path) -> Manifest:
    with tarfile.open(source, "r:") as tar:
        member = tar.extractfile(MANIFEST_NAME) if MANIFEST_NAME in tar.getnames() else None
        if member is None:
            raise StoreError("backup_damaged")
        manifest = _manifest(member.read(MANIFEST_BYTES_MAX))
        for name in manifest.files:
            try:
                file = tar.extractfile(name)
            except KeyError:
                file = None
            if file is None:
                raise StoreError("backup_damaged")
            read = file.read
            _hold(manifest, name, iter(lambda: read(PIECE_BYTES), b""), draft)
    return manifest


def _manifest(text: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (ValueError, RecursionError):  # a name that is not UTF-8 is no DecodeError
        raise StoreError("backup_damaged") from None
    names = manifest.files
    if manifest.format > FORMAT:
        raise StoreError("store_newer")
    if DATABASE_NAME not in names or not all(NAME.fullmatch(name) for name in names):
        raise StoreError("backup_damaged")
    return manifest


def _file(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _hold(manifest: Manifest, name: str, pieces: Iterator[bytes], draft: Path) -> None:
    target = draft / name
    for folder in reversed(target.relative_to(draft).parents[:-1]):
        if not (draft / folder).is_dir():
            make_directory(draft / folder)
    if write_file(target, pieces) != manifest.files[name]:
        raise StoreError("backup_damaged")


def _find_secret(draft: Path, store: Path, given: Path | None) -> None:
    """Lets `draft` have the secret that its database was made with."""
    wanted = secret_mark(draft / DATABASE_NAME)
    if given is not None and not (draft / SECRET_NAME).exists():
        copy_file(given, draft / SECRET_NAME)
    for folder in (draft, store):
        found = secrets_file.read(folder)
        if found is not None and secrets_file.mark(found) == wanted:
            return
    raise StoreError("store_secret")


def _find_keys(draft: Path, store: Path, apart: Apart, schema: int, erased: set[str]) -> None:
    """Sees to it that what is sealed in the backup will open, but for what was erased since: also
    where `erased`, of the store before, have a key yet, because a kill came before its end."""
    if apart.keys is not None:
        copy_database(apart.keys, draft / KEYS_NAME)
    with ExitStack() as opened:
        rings = []
        for path in (store / KEYS_NAME, draft / KEYS_NAME):
            if path.exists():
                ring = Keyring(path, master_file.find(store, apart.master, make=False))
                opened.callback(ring.close)
                ring.judge()
                rings.append(ring)
        known = {owner for ring in rings for owner in ring.owners()}
        gone = {owner for ring in rings for owner in ring.owners(destroyed=True)}
        if schema < SEALED_SINCE:
            blank_unsealed(draft / DATABASE_NAME, schema, gone | erased)
        elif not rings or living_in(draft / DATABASE_NAME) - known - gone:
            raise StoreError("store_keys")
        for ring in rings[1:]:  # what is in use gets what it has not, and is not replaced
            rings[0].merge(ring)
        if rings and (left := erased & known - gone):
            for account in left:
                remove_unsealed(store, account)
            rings[0].destroy_now(*left)


def _free(wanted: Path) -> Path:
    """This name, or with `-2`, `-3` ... where a restore of the same second has taken it."""
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def _move_aside(store: Path, aside: Path) -> None:
    make_directory(aside)
    if (store / SECRET_NAME).exists():
        copy_file(store / SECRET_NAME, aside / SECRET_NAME)
    for name in _MOVED:
        if (store / name).exists():
            (store / name).rename(aside / name)
    sync_directory(aside)
    sync_directory(store)


def _place(draft: Path, store: Path) -> None:
    """The database comes last: until then there is no store, and a start refuses (store/db.py)."""
    found = secrets_file.read(draft)
    if found is not None and secrets_file.mark(found) == secret_mark(draft / DATABASE_NAME):
        os.replace(draft / SECRET_NAME, store / SECRET_NAME)
    if (draft / KEYS_NAME).exists() and not (store / KEYS_NAME).exists():
        os.replace(draft / KEYS_NAME, store / KEYS_NAME)
    for name in (FOLDER, f"{FOLDER}/0"):
        if not (draft / name).is_dir():
            make_directory(draft / name)
    remove_tree(store / FOLDER)  # lanes without a line: what had lines has been moved
    os.replace(draft / FOLDER, store / FOLDER)
    sync_directory(store)
    os.replace(draft / DATABASE_NAME, store / DATABASE_NAME)
    sync_directory(store)
