"""Data keys: one per account, month or year, wrapped by the master key, in the file `keys.db`.

Law: a key that is destroyed is destroyed for good: its owner's name stays as a tombstone and never
gets another. The file is apart from the database because it is no part of the database's copies:
what an old copy still has of an account opens no more.

Owners are account ids, `month:2026-11`, `vault:2026`. Calls take a file's time: on the event
loop use `make` and `destroy`, which work on a thread, and `cipher`, which reads the disk once.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.ops.clock import unix_ms
from relayd.store import seal, secret
from relayd.store.directory import StoreError, private_file
from relayd.store.transaction import mapped

FILE_NAME: Final = "keys.db"
MASTER_NAME: Final = "master.key"
"""The file with the master key where the configuration names no other place."""
WRAP_LABEL: Final = "wrap data keys"
CIPHERS_MAX: Final = 4096
BUSY_SECONDS: Final = 5.0

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
    "PRAGMA secure_delete=ON", "PRAGMA temp_store=MEMORY", "PRAGMA trusted_schema=OFF",
)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS data_keys (
    owner TEXT NOT NULL PRIMARY KEY,
    -- the master key's mark, and the key under it; NULL once it is destroyed
    master TEXT,
    wrapped BLOB,
    created_at_ms INTEGER NOT NULL,
    destroyed_at_ms INTEGER,
    CHECK ((wrapped IS NULL) = (destroyed_at_ms IS NOT NULL)),
    CHECK ((wrapped IS NULL) = (master IS NULL))
) STRICT
"""


class Keyring:
    """The open file. `open_keyring` makes it; `close()` it."""

    def __init__(self, path: Path, master: bytes) -> None:
        self._path = path
        self._mark = secret.mark(master)
        self._wrap = AESGCM(secret.derived(master, WRAP_LABEL))
        self._ciphers: OrderedDict[str, AESGCM] = OrderedDict()
        self._lock = threading.Lock()
        with mapped():
            private_file(path)
            self._db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                for pragma in _PRAGMAS:
                    self._db.execute(pragma).fetchall()
                self._db.execute(_SCHEMA)
                self._checkpoint()
            except BaseException:
                self._db.close()
                raise

    def cipher(self, owner: str) -> AESGCM:
        """The owner's key, ready to use. Raises StoreError `data_key_gone`, `store_master_key`."""
        with self._lock:
            found = self._ciphers.get(owner)
            if found is None:
                found = self._ciphers[owner] = AESGCM(self._unwrapped(owner))
                if len(self._ciphers) > CIPHERS_MAX:
                    self._ciphers.popitem(last=False)
            else:
                self._ciphers.move_to_end(owner)
        return found

    def _unwrapped(self, owner: str) -> bytes:
        with mapped():
            row = self._db.execute(
                "SELECT master, wrapped FROM data_keys WHERE owner = ?", (owner,)).fetchone()
        if row is None or row[1] is None:
            raise StoreError("data_key_gone")
        if row[0] != self._mark:
            raise StoreError("store_master_key")
        return seal.unseal(self._wrap, _place(owner), row[1])

    def make_now(self, owner: str) -> None:
        """Gives the owner a key if there was never one; on disk when this returns."""
        wrapped = seal.seal(self._wrap, _place(owner), os.urandom(seal.KEY_BYTES))
        with self._lock, mapped():
            made = self._db.execute(
                "INSERT INTO data_keys (owner, master, wrapped, created_at_ms)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (owner) DO NOTHING",
                (owner, self._mark, wrapped, unix_ms())).rowcount
            if made:
                self._checkpoint()

    async def make(self, owner: str) -> None:
        """`make_now` on a thread."""
        await asyncio.to_thread(self.make_now, owner)

    def destroy_now(self, owner: str) -> None:
        """Destroys the owner's key, also one that it never had: it gets none any more."""
        with self._lock, mapped():
            self._ciphers.pop(owner, None)
            now_ms = unix_ms()
            self._db.execute(
                "INSERT INTO data_keys (owner, created_at_ms, destroyed_at_ms) VALUES (?, ?, ?)"
                " ON CONFLICT (owner) DO UPDATE SET master = NULL, wrapped = NULL,"
                " destroyed_at_ms = coalesce(destroyed_at_ms, excluded.destroyed_at_ms)",
                (owner, now_ms, now_ms))
            self._checkpoint()

    async def destroy(self, owner: str) -> None:
        """`destroy_now` on a thread."""
        await asyncio.to_thread(self.destroy_now, owner)

    def owners(self, *, destroyed: bool = False) -> list[str]:
        """Everybody who has a key, or those whose key was destroyed."""
        with self._lock, mapped():
            rows = self._db.execute(
                "SELECT owner FROM data_keys WHERE (wrapped IS NULL) = ? ORDER BY owner",
                (destroyed,)).fetchall()
        return [str(row[0]) for row in rows]

    def forget(self) -> None:
        """Holds no key in memory any more: another process may have destroyed one."""
        with self._lock:
            self._ciphers.clear()

    def close(self) -> None:
        """Close the file."""
        with self._lock, mapped():
            self._db.close()

    def _checkpoint(self) -> None:
        """What was there before is overwritten in the file itself, not only in its WAL."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def judge(self) -> None:
        """Raises StoreError `store_master_key` where the keys are under another master key."""
        with self._lock, mapped():
            row = self._db.execute(
                "SELECT 1 FROM data_keys WHERE master <> ? LIMIT 1", (self._mark,)).fetchone()
        if row is not None:
            raise StoreError("store_master_key")


def _place(owner: str) -> bytes:
    return seal.place("data_keys", "wrapped", owner)


def open_keyring(directory: Path, master: bytes | None = None) -> Keyring:
    """The keyring of a store. `master` None: the file `master.key` in its directory.

    Raises StoreError `store_master_key` where keys are there and their master key is not.
    """
    with mapped():
        known = (directory / FILE_NAME).exists()
        if master is None:
            if known:
                master = secret.read(directory, MASTER_NAME)
            else:
                master = secret.read_or_make(directory, MASTER_NAME)
    if master is None:
        raise StoreError("store_master_key")
    keyring = Keyring(directory / FILE_NAME, master)
    try:
        keyring.judge()
    except BaseException:
        with suppress(StoreError):
            keyring.close()
        raise
    return keyring
