"""The master key: what wraps every data key, and where it is kept.

Law: 32 bytes. Where the configuration names no place it is the file `master.key` beside the
database, made at first use; else it comes from the configuration and no file is made. It is never
in a copy of the database or of `keys.db`. Who can read it again notices when it was rotated. Only
who is `alone` writes or settles a draft: of two at once one would take away the other's key.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relayd.ops.config import MasterKey
from relayd.ops.configfile_store import MASTER_KEY_BYTES, MASTER_NAME, master_key_bytes
from relayd.store import secret
from relayd.store.directory import StoreError, sync_directory

FILE_NAME: Final = MASTER_NAME
DRAFT_SUFFIX: Final = ".new"
"""Ends the name of the next master key's file while data keys are wrapped anew."""


@dataclass(frozen=True, slots=True)
class Master:
    """The key. `path` is the file that it came from, None where no file can be read again; `text`
    says that the file holds it in hex."""

    key: bytes = field(repr=False)
    path: Path | None = None
    text: bool = False

    def again(self) -> Iterator[Master]:
        """The key as its file has it now, and the one that is about to take its place."""
        paths = () if self.path is None else (self.path, draft_of(self.path))
        for path in paths:
            with suppress(StoreError):
                if found := _from_file(path, self.text):
                    yield Master(found, self.path, self.text)

    def draft(self, key: bytes) -> Path:
        """Writes the next key beside the present one's file, for `settle`; replaces a draft."""
        assert self.path is not None
        path = draft_of(self.path)
        path.unlink(missing_ok=True)
        write(path, key, self.text)
        return path

    def settle(self) -> None:
        """Puts the draft, if there is one, in the place of the file."""
        assert self.path is not None
        with suppress(FileNotFoundError):
            os.replace(draft_of(self.path), self.path)
            sync_directory(self.path.parent)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """While nobody else changes the master key of this store. Raises StoreError `store_busy`."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError("store_busy") from None
        yield
    finally:
        os.close(handle)


def holds(path: Path, master: Master) -> bool:
    """Whether the file at `path` has this key."""
    with suppress(StoreError):
        return _from_file(path, master.text) == master.key
    return False


def draft_of(path: Path) -> Path:
    """Where the next key waits for the present one's place."""
    return path.with_name(path.name + DRAFT_SUFFIX)


def new_key() -> bytes:
    """A fresh key."""
    return secrets.token_bytes(MASTER_KEY_BYTES)


def write(path: Path, key: bytes, text: bool) -> None:
    """A new file with the key, mode 0600, on disk when this returns; FileExistsError."""
    secret.write(path, key.hex().encode("ascii") + b"\n" if text else key)


def _from_file(path: Path, text: bool) -> bytes | None:
    if not text:
        return secret.read(path.parent, path.name)
    with suppress(OSError, UnicodeDecodeError):
        return master_key_bytes(path.read_text("ascii").strip())
    return None


def find(directory: Path, config: MasterKey | None, *, make: bool) -> Master:
    """The master key of a store, made where `make` says so and the configuration names no place.

    Raises StoreError `store_master_key` where it is missing or no key, `store_open_to_others`.
    """
    if config is not None:
        key = master_key_bytes(config.text)
        if key is None:
            error = StoreError("store_master_key")
            if not config.text:
                error.why = "what [store] master_key refers to cannot be read from here"
            raise error
        return Master(key, None if config.file is None else Path(config.file), text=True)
    try:
        found = (secret.read_or_make(directory, FILE_NAME) if make
                 else secret.read(directory, FILE_NAME))
    except StoreError as error:
        if error.code != "store_secret":
            raise  # with the file that it names
        raise StoreError("store_master_key") from None
    if found is None:
        raise StoreError("store_master_key")
    return Master(found, directory / FILE_NAME)
