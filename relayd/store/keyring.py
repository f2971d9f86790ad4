"""Data keys: one per account, month or year, wrapped by the master key, in the file `keys.db`.

Law: a key that is destroyed is destroyed for good: its owner's name stays as a tombstone and never
gets another. The file is apart from the database because it is no part of the database's copies:
what an old copy still has of an account opens no more.

Owners are account ids, `month:2026-11`, `vault:2026`, `pseudonyms:686`. Calls take a file's time;
on the event loop use `make` and `destroy`, which work on a thread, and `cipher`, which reads the
disk once an owner. What another process destroys, makes or wraps anew is seen at the next
`notice`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.ops.clock import unix_ms
from relayd.ops.config import MasterKey
from relayd.ops.configfile_store import KEYS_NAME
from relayd.store import master as master_file
from relayd.store import seal, secret
from relayd.store.directory import StoreError, private_file
from relayd.store.master import Master
from relayd.store.transaction import mapped

FILE_NAME: Final = KEYS_NAME
WRAP_LABEL: Final = "wrap data keys"
CIPHERS_MAX: Final = 4096
BUSY_SECONDS: Final = 5.0
OWNERS_AT_ONCE: Final = 1000

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
    "PRAGMA secure_delete=ON", "PRAGMA temp_store=MEMORY", "PRAGMA trusted_schema=OFF",
)
_SCHEMA: Final = ("""
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
""", """
CREATE TABLE IF NOT EXISTS master_marks (
    -- the mark of the master key that wraps every key, and since when
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    mark TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT
""")
_INSERT: Final = ("INSERT INTO data_keys (owner, master, wrapped, created_at_ms)"
                  " VALUES (?, ?, ?, ?) ON CONFLICT (owner) DO NOTHING")


class Wrap:
    """What wraps data keys: the master key's mark, and a key derived from it."""

    __slots__ = ("mark", "_cipher")

    def __init__(self, master: bytes) -> None:
        self.mark = secret.mark(master)
        self._cipher = AESGCM(secret.derived(master, WRAP_LABEL))

    def wrapped(self, owner: str, key: bytes) -> bytes:
        """A data key as it stands in the file."""
        return seal.seal(self._cipher, _place(owner), key)

    def unwrapped(self, owner: str, wrapped: bytes) -> bytes:
        """The key again; raises StoreError `seal_broken`."""
        return seal.unseal(self._cipher, _place(owner), wrapped)


class Keyring:
    """The open file. `open_keyring` makes it; `close()` it.

    It reads on one connection and writes on another: whoever waits for another process's write
    keeps nobody from reading.
    """

    def __init__(self, path: Path, master: Master) -> None:
        self._master = master
        self._wrap = Wrap(master.key)
        self._ciphers: OrderedDict[str, AESGCM] = OrderedDict()
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._version = -1
        with mapped("store_keys"):
            private_file(path)
            self._writer = _connect(path)
            try:
                for statement in _SCHEMA:
                    self._writer.execute(statement)
                self._checkpoint()
                self._reader = _connect(path)
            except BaseException:
                self._writer.close()
                raise

    @property
    def master(self) -> Master:
        """The master key in use."""
        return self._master

    # -- reading --------------------------------------------------------------------------

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

    def derived(self, owner: str, label: str) -> bytes:
        """32 bytes for one purpose, of the owner's key. Raises as `cipher` does."""
        with self._lock:
            return secret.derived(self._unwrapped(owner), label)

    def _unwrapped(self, owner: str) -> bytes:
        with mapped("store_keys"):
            row = self._reader.execute(
                "SELECT master, wrapped FROM data_keys WHERE owner = ?", (owner,)).fetchone()
        if row is None or row[1] is None:
            raise StoreError("data_key_gone")
        return self._under(row[0]).unwrapped(owner, row[1])

    def _under(self, mark: str) -> Wrap:
        """What opens keys of this mark; of another one, if the master key has been rotated."""
        if mark != self._wrap.mark:
            for found in self._master.again():
                wrap = Wrap(found.key)
                if wrap.mark == mark:
                    self._master, self._wrap = found, wrap
                    break
            else:
                raise StoreError("store_master_key")
        return self._wrap

    def notice(self) -> None:
        """Forget the keys in memory if the file has changed since the last call."""
        with self._lock, mapped():
            version = self._reader.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._version = version
                self._ciphers.clear()

    def forget(self) -> None:
        """Holds no key in memory any more."""
        with self._lock:
            self._ciphers.clear()

    def owners(self, *, destroyed: bool = False, prefix: str = "") -> list[str]:
        """Everybody who has a key, or those whose key was destroyed.

        A thousand at a time: the event loop waits for the lock.
        """
        found: list[str] = []
        while True:
            with self._lock, mapped():
                rows = self._reader.execute(
                    "SELECT owner FROM data_keys WHERE owner >= ? AND owner < ? AND owner > ?"
                    " AND (wrapped IS NULL) = ? ORDER BY owner LIMIT ?",
                    (prefix, f"{prefix}\U0010ffff", found[-1] if found else "", destroyed,
                     OWNERS_AT_ONCE)).fetchall()
            found += [str(row[0]) for row in rows]
            if len(rows) < OWNERS_AT_ONCE:
                return found

    def since_ms(self) -> int | None:
        """Since when the master key is in use; None before it has wrapped a key."""
        with self._lock, mapped():
            row = self._reader.execute("SELECT since_ms FROM master_marks").fetchone()
        return None if row is None else int(row[0])

    def mark(self) -> str | None:
        """The mark of the master key that is in use, as the file has it now; None before it has
        wrapped a key."""
        with self._lock, mapped():
            row = self._reader.execute("SELECT mark FROM master_marks").fetchone()
        return None if row is None else str(row[0])

    # -- writing --------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Wrap]:
        """A transaction, with the wrap that is in force throughout it."""
        with self._write_lock, mapped():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                row = self._writer.execute("SELECT mark FROM master_marks").fetchone()
                if row is None:
                    self._mark(self._wrap.mark)
                with self._lock:
                    wrap = self._wrap if row is None else self._under(row[0])
                yield wrap
                self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise

    def _mark(self, mark: str) -> None:
        self._writer.execute(
            "INSERT INTO master_marks (one, mark, since_ms) VALUES (1, ?, ?) ON CONFLICT (one)"
            " DO UPDATE SET mark = excluded.mark, since_ms = excluded.since_ms", (mark, unix_ms()))

    def make_now(self, *owners: str) -> None:
        """Gives each owner a key if there was never one; on disk when this returns."""
        missing = [owner for owner in owners if not self._knows(owner)]
        if not missing:
            return
        now_ms = unix_ms()
        with self._writing() as wrap:
            self._writer.executemany(_INSERT, (
                (owner, wrap.mark, wrap.wrapped(owner, os.urandom(seal.KEY_BYTES)), now_ms)
                for owner in missing))
        with self._write_lock:
            self._checkpoint()

    def _knows(self, owner: str) -> bool:
        """Whether the owner has a key, or had one."""
        with self._lock, mapped():
            return owner in self._ciphers or self._reader.execute(
                "SELECT 1 FROM data_keys WHERE owner = ?", (owner,)).fetchone() is not None

    async def make(self, *owners: str) -> None:
        """`make_now`, on a thread where there is one to be made."""
        if not all(map(self._knows, owners)):
            await asyncio.to_thread(self.make_now, *owners)

    def destroy_now(self, *owners: str) -> None:
        """Destroys each owner's key, also one that it never had: it gets none any more.

        Raises StoreError `store_busy` where it is destroyed, and not wiped from the file yet
        because somebody reads: then ask again.
        """
        now_ms = unix_ms()
        with self._writing():
            self._writer.executemany(
                "INSERT INTO data_keys (owner, created_at_ms, destroyed_at_ms) VALUES (?, ?, ?)"
                " ON CONFLICT (owner) DO UPDATE SET master = NULL, wrapped = NULL,"
                " destroyed_at_ms = coalesce(destroyed_at_ms, excluded.destroyed_at_ms)",
                [(owner, now_ms, now_ms) for owner in owners])
        with self._lock:
            for owner in owners:
                self._ciphers.pop(owner, None)
        self.wipe()

    async def destroy(self, *owners: str) -> None:
        """`destroy_now` on threads."""
        await asyncio.to_thread(self.destroy_now, *owners)

    def rewrap(self, key: bytes) -> int:
        """Wraps every key anew, under another master key; returns how many.

        The caller has written the new key where it is kept, and wipes afterwards. All or none:
        when this returns the old master key opens nothing.
        """
        new = Wrap(key)
        with self._writing() as old:
            rows = self._writer.execute(
                "SELECT owner, wrapped FROM data_keys WHERE wrapped IS NOT NULL").fetchall()
            self._writer.executemany(
                "UPDATE data_keys SET master = ?, wrapped = ? WHERE owner = ?",
                ((new.mark, new.wrapped(owner, old.unwrapped(owner, wrapped)), owner)
                 for owner, wrapped in rows))
            self._mark(new.mark)
        with self._lock:
            self._master = Master(key, self._master.path, self._master.text)
            self._wrap = new
        return len(rows)

    def merge(self, other: Keyring) -> None:
        """Takes what another file has and this one has not: keys, and who has none any more.

        An owner whose key is destroyed in either stays without. Raises StoreError
        `store_master_key` where they are not under the same master key.
        """
        if other._wrap.mark != self._wrap.mark:
            raise StoreError("store_master_key")
        with other._lock, mapped():
            rows = other._reader.execute(
                "SELECT owner, master, wrapped, created_at_ms, destroyed_at_ms FROM data_keys"
            ).fetchall()
        with self._writing():
            self._writer.executemany(
                "INSERT INTO data_keys (owner, master, wrapped, created_at_ms, destroyed_at_ms)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (owner) DO NOTHING", rows)
        self.destroy_now(*other.owners(destroyed=True))

    def _checkpoint(self) -> bool:
        """What was there before is overwritten in the file itself, not only in its WAL."""
        with mapped():
            rows = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return bool(rows[0][0] == 0)

    def wipe(self) -> None:
        """What was wrapped before is in no file any more; raises StoreError `store_busy`."""
        with self._write_lock:
            if not self._checkpoint():
                raise StoreError("store_busy")

    def is_empty(self) -> bool:
        """Whether nobody has a key, or ever had one: as with a file that was cut to nothing."""
        with self._lock, mapped("store_keys"):
            return self._reader.execute("SELECT 1 FROM data_keys LIMIT 1").fetchone() is None

    def judge(self) -> None:
        """Raises StoreError `store_master_key` where the keys are under another master key."""
        with self._lock:
            with mapped():
                row = (self._reader.execute("SELECT mark FROM master_marks").fetchone()
                       or self._reader.execute("SELECT master FROM data_keys"
                                               " WHERE master IS NOT NULL LIMIT 1").fetchone())
            if row is not None:
                self._under(row[0])

    def close(self) -> None:
        """Close the file."""
        with self._write_lock, self._lock, mapped():
            self._reader.close()
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            db.execute(pragma).fetchall()
    except BaseException:
        db.close()
        raise
    return db


def _place(owner: str) -> bytes:
    return seal.place("data_keys", "wrapped", owner)


def open_keyring(directory: Path, config: MasterKey | None = None) -> Keyring:
    """The keyring of a store. `config` says where the master key is, if not in the directory.

    Raises StoreError `store_master_key` where keys are there and their master key is not.
    """
    path = directory / FILE_NAME
    with mapped():
        master = master_file.find(directory, config, make=not path.exists())
    keyring = Keyring(path, master)
    try:
        keyring.judge()
        if _draft(keyring) is not None:
            # where a rotation is under way, it ends itself
            with suppress(StoreError), master_file.alone(directory):
                settle(keyring)
    except BaseException:
        with suppress(StoreError):
            keyring.close()
        raise
    return keyring


def settle(keyring: Keyring) -> None:
    """Ends a rotation that was cut off between its two steps; the caller is `alone`.

    Raises StoreError `store_master_key` where the keys are under another master key.
    """
    keyring.judge()
    draft = _draft(keyring)
    if draft is not None and master_file.holds(draft, keyring.master):
        keyring.master.settle()


def _draft(keyring: Keyring) -> Path | None:
    """The file of the next master key, where there is one."""
    path = keyring.master.path
    draft = None if path is None else master_file.draft_of(path)
    return draft if draft is not None and draft.exists() else None
