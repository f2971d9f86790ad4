"""A backup put in a store's place: what store/backup.py made, or a database file alone.

Law: all is copied into the store's directory and checked before anything there is touched; what
was there is kept under another name. The caller holds the store's lock.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from relayd.store import journal_segment
from relayd.store import secret as secrets_file
from relayd.store.backup import (
    DATABASE_NAME, FORMAT, MANIFEST_NAME, NAME, PIECE_BYTES, Manifest, copy_database, copy_file,
    judge, make_directory, remove_tree, secret_mark, write_file,
)
from relayd.store.directory import StoreError
from relayd.store.journal_lane import FOLDER, lane_directory, lanes
from relayd.store.journal_segment import sync_directory
from relayd.store.secret import FILE_NAME as SECRET_NAME
from relayd.store.transaction import mapped

DRAFT_NAME: Final = ".restore"
ASIDE_NAME: Final = "replaced-"
MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024
_MOVED: Final = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", FOLDER)


class Restored(NamedTuple):
    """What was put in place; `aside` is where the store before is, None where there was none."""

    manifest: Manifest | None
    aside: Path | None


def is_empty(store: Path) -> bool:
    """Whether there is neither a database nor a line of a journal."""
    return not (store / DATABASE_NAME).exists() and not any(
        journal_segment.paths(lane_directory(store, number)) for number in lanes(store))


def restore(source: Path, store: Path, *, replace: bool, stamp: str,
            secret: Path | None = None) -> Restored:
    """Puts a backup in place. The secret is the backup's, else that in `secret`, else the store's.

    Raises StoreError: `store_not_empty` without `replace`, `backup_damaged`, `store_newer`,
    `store_secret` where no secret is the backup's own; then the store is as it was.
    """
    if not replace and not is_empty(store):
        raise StoreError("store_not_empty")
    draft = store / DRAFT_NAME
    with mapped():
        remove_tree(draft)
        make_directory(draft)
        try:
            manifest = _unpack(source, draft)
            judge(draft / DATABASE_NAME)
            _find_secret(draft, store, secret)
            aside = None if is_empty(store) else store / f"{ASIDE_NAME}{stamp}"
            if aside is not None:
                _move_aside(store, aside)
            _place(draft, store)
        finally:
            remove_tree(draft)
    return Restored(manifest, aside)


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
    except msgspec.MsgspecError:
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
    """The database comes last: until then there is no store, and a start would see none."""
    found = secrets_file.read(draft)
    if found is not None and secrets_file.mark(found) == secret_mark(draft / DATABASE_NAME):
        os.replace(draft / SECRET_NAME, store / SECRET_NAME)
    for name in (FOLDER, f"{FOLDER}/0"):
        if not (draft / name).is_dir():
            make_directory(draft / name)
    remove_tree(store / FOLDER)  # lanes without a line: what had lines has been moved
    os.replace(draft / FOLDER, store / FOLDER)
    sync_directory(store)
    os.replace(draft / DATABASE_NAME, store / DATABASE_NAME)
    sync_directory(store)
