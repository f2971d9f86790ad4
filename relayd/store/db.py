"""The database: one SQLite file, one writing connection, one reading connection, one more for what
the relay reads, and one that is asked whether anybody has written (store/change.py).

Law: transactions are opened here alone. A write is durable when its block ends: WAL with
`synchronous=FULL`, which costs a batch of records one sync and no more. A failed or cancelled
block leaves nothing behind.

SQLite below 3.51.3 can corrupt a WAL that is checkpointed while another connection writes. So no
connection checkpoints by itself; `checkpoint()` does, in TRUNCATE mode, which shuts writers out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from relayd.core.timestamp import compact
from relayd.ops.clock import unix_ms
from relayd.ops.config import MasterKey
from relayd.store import secret as secrets_file
from relayd.store.backup import DATABASE_NAME, DRAFT_NAME, keep_saved, save_before_migration
from relayd.store.change import Changes
from relayd.store.connection import Connection, connect
from relayd.store.directory import StoreError, prepare, private_file
from relayd.store.journal_lane import lock_store
from relayd.store.keyring import FILE_NAME as KEYS_NAME
from relayd.store.keyring import Keyring, open_keyring
from relayd.store.migration import is_sealed, migrate, pending
from relayd.store.place import Places
from relayd.store.sealer import Sealer, sealer
from relayd.store.transaction import Transaction, bind_quickly, mapped

FILE_NAME: Final = DATABASE_NAME
BUSY_MS: Final = 5000
"""How long a write waits for another process's write."""
WAL_BYTES_MAX: Final = 8 * 1024 * 1024
"""Above this `checkpoint_if_large` moves the WAL into the database."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA foreign_keys=ON",
    # what is deleted is overwritten: erasure must reach the disk
    "PRAGMA secure_delete=ON",
    # no content, not even ids, in temporary files
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
)


_SOMEBODY: Final = "SELECT 1 FROM accounts LIMIT 1"


class Database:
    """An open store. Made by `open_database`; `close()` it, or its threads outlive the loop."""

    def __init__(self, directory: Path, secret: bytes, writer: Connection,
                 reader: Connection, sealer: Sealer) -> None:
        self.directory = directory
        self.secret = secret
        self.changes = Changes(directory / FILE_NAME)
        self._sealer = sealer
        self._writer = writer
        self._reader = reader
        self._write_lock = asyncio.Lock()
        self._read_lock = asyncio.Lock()
        self._watcher: Connection | None = None
        self._watch_lock = asyncio.Lock()
        self._hindered_bytes = 0
        self._closed = False
        # SQLite keeps all three open until it is closed
        self._places = Places(directory / name
                              for name in (FILE_NAME, f"{FILE_NAME}-wal", KEYS_NAME))

    @property
    def keyring(self) -> Keyring:
        """The data keys of accounts, months and years."""
        return self._sealer.keyring

    @asynccontextmanager
    async def writing(self, *, begin_now: bool = True) -> AsyncIterator[Transaction]:
        """A transaction that may write: committed and on disk when the block ends, else undone.

        With `begin_now=False` others may write up to its first statement: for who seals nothing,
        and looks at nothing but by statements of this transaction.

        Raises StoreError: `store_busy` where another process held the store for too long,
        `store_refused` where a row breaks a rule, `store_moved` where the next start would not
        find what was written, `store_failed` for all else.
        """
        async with self._write_lock:
            self._judge_place()
            async with self._transaction(self._writer) as transaction:
                transaction.later("BEGIN IMMEDIATE")
                if begin_now:
                    await transaction.catch_up()
                    self.keyring.notice()
                yield transaction

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A transaction that sees one state of the store throughout."""
        async with self._read_lock:
            async with self._transaction(self._reader) as transaction:
                # what it sees begins with its first query, wherever this is
                transaction.later("BEGIN")
                self.keyring.notice()
                yield transaction

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Transaction]:
        """The same on a connection of its own, opened at first use, that no page and no command
        waits on: for what the relay must learn soon. It unseals nothing."""
        async with self._watch_lock:
            if self._watcher is None and not self._closed:
                self._judge_place()
                with mapped():
                    self._watcher = await _reader(self.directory, BUSY_MS)
            async with self._transaction(self._watcher or self._reader) as transaction:
                transaction.later("BEGIN")
                yield transaction

    @asynccontextmanager
    async def reading_long(self) -> AsyncIterator[Transaction]:
        """As `reading`, on a connection that is opened for this: for who reads a whole table, so
        that nobody waits behind them."""
        self._judge_place()
        with mapped():
            connection = await _reader(self.directory, BUSY_MS)
        try:
            async with self._transaction(connection) as transaction:
                transaction.later("BEGIN")
                self.keyring.notice()
                yield transaction
        finally:
            await connection.close()

    def _judge_place(self) -> None:
        """Before writing, and before a file is opened by its name, which may make another one."""
        if not self._closed and not self._places.kept():
            raise StoreError("store_moved")

    @asynccontextmanager
    async def _transaction(self, connection: Connection) -> AsyncIterator[Transaction]:
        if self._closed:
            raise StoreError("store_failed")
        with mapped():
            try:
                transaction = Transaction(connection, self._sealer)
                yield transaction
                transaction.later("COMMIT")
                await transaction.catch_up()
            except BaseException:
                # Queued behind whatever is still running, so a cancelled BEGIN is undone as well;
                # it does nothing where no transaction is open. Closing undoes all.
                if not connection.closed:
                    await connection.rollback()
                raise

    async def checkpoint(self) -> bool:
        """Move the WAL into the database and empty it; False where readers were in the way.

        It shuts writers out while it waits for readers: for a quarter of the time that a write
        waits, so that none of another process fails for it, also where that one tries it next.
        """
        async with self._write_lock:
            with mapped():
                # behind who writes now: one that could not wait long enough would run beside them
                await self._writer.run_all([("BEGIN IMMEDIATE", None), ("ROLLBACK", None)])
                rows = await self._writer.execute_fetchall("PRAGMA busy_timeout")
                patience_ms = next(iter(rows))[0]
                await self._writer.execute_fetchall(f"PRAGMA busy_timeout={patience_ms // 4}")
                try:
                    rows = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    await self._writer.execute_fetchall(f"PRAGMA busy_timeout={patience_ms}")
        return all(row[0] == 0 for row in rows)

    async def checkpoint_if_large(self, bytes_max: int = WAL_BYTES_MAX) -> bool:
        """`checkpoint()` where the WAL has grown above a size; for jobs that write much.

        Where readers were in the way it is tried again when the WAL is twice as large: each try
        holds all writers up.
        """
        wal = self.directory / f"{FILE_NAME}-wal"
        with mapped():
            size = wal.stat().st_size if wal.exists() else 0
        if size < self._hindered_bytes:  # somebody has emptied it since
            self._hindered_bytes = 0
        if size <= max(bytes_max, 2 * self._hindered_bytes):
            return False
        done = await self.checkpoint()
        self._hindered_bytes = 0 if done else size
        return done

    def sizes(self) -> dict[str, int]:
        """Bytes of the store's files: `database` and `wal`; without those that cannot be seen."""
        found = {}
        for name, suffix in (("database", ""), ("wal", "-wal")):
            with suppress(OSError):
                found[name] = (self.directory / f"{FILE_NAME}{suffix}").stat().st_size
        return found

    async def _close_readers(self) -> None:
        await self._reader.close()
        if self._watcher is not None:
            await self._watcher.close()

    async def close(self) -> None:
        """Close all connections; waits for transactions that are under way, unless cancelled."""
        if self._closed:
            return
        self._closed = True
        try:
            async with self._write_lock, self._read_lock, self._watch_lock:
                pass  # nobody begins any more
        finally:
            with mapped():
                try:
                    self.changes.close()
                    await self._close_readers()
                finally:
                    await self._writer.close()
                    self.keyring.close()


async def _connect(path: Path, busy_ms: int) -> Connection:
    connection = await connect(path, busy_ms)
    try:
        for pragma in _PRAGMAS:
            await connection.execute_fetchall(pragma)
    except BaseException:
        await connection.close()
        raise
    return connection


async def open_database(
    directory: Path, *, busy_ms: int = BUSY_MS, master: MasterKey | None = None,
    beside: bool = False,
) -> Database:
    """Open the store in this directory, making or upgrading it as needed.

    Before a migration the database is copied to `backups/` there. `master` says where the master
    key is, if not in the directory. `beside` is for who may be beside a daemon, and holds no lock
    of the store: under a daemon nothing is upgraded.

    Raises StoreError: `store_older` where that would be needed, `store_newer` where a later relayd
    wrote it, `store_secret` where its secret is missing or another's, `store_master_key` the same
    for the master key, `store_keys` where its data keys are missing, `store_open_to_others` where
    file modes are unsafe, `store_unfinished` where a restore was killed.
    """
    # aiosqlite logs statements with their values at debug level: those must reach no log
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    bind_quickly()
    with mapped():
        prepare(directory)
        # in this order: a process that makes a store makes its secret first
        fresh = not (directory / FILE_NAME).exists()
        if fresh and (directory / DRAFT_NAME).exists():
            raise StoreError("store_unfinished")
        secret = secrets_file.read_or_make(directory) if fresh else secrets_file.read(directory)
        if secret is None:
            raise StoreError("store_secret")
        private_file(directory / FILE_NAME)
    with mapped():
        writer, reader, seals = await _open(directory, secret, master, busy_ms, beside)
    return Database(directory, secret, writer, reader, seals)


def is_new(directory: Path) -> bool:
    """Whether there is no database: to open it makes one."""
    try:
        return (directory / FILE_NAME).stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False


def is_lost(directory: Path) -> bool:
    """Whether there are keys of a store without a database: to open it makes a new one, as after
    a start that was killed, or for somebody who has lost what he had."""
    with suppress(OSError):
        return (directory / KEYS_NAME).exists() and is_new(directory)
    return False


async def _open(
    directory: Path, secret: bytes, master: MasterKey | None, busy_ms: int, beside: bool,
) -> tuple[Connection, Connection, Sealer]:
    """The writing and the reading connection, the schema up to date, and what seals."""
    writer = await _connect(directory / FILE_NAME, busy_ms)
    keyring = None
    try:
        sealed = await is_sealed(writer)
        if sealed and not (directory / KEYS_NAME).exists():
            raise StoreError("store_keys")
        keyring = open_keyring(directory, master)
        if sealed and keyring.is_empty() and list(await writer.execute_fetchall(_SOMEBODY)):
            raise StoreError("store_keys")
        seals = sealer(keyring, secret)
        missing = await pending(writer)
        with _no_daemon(directory) if beside and missing else nullcontext():
            with _saved(directory, missing) as keep:
                await migrate(writer, secrets_file.mark(secret), seals, keep)
        return writer, await _reader(directory, busy_ms), seals
    except BaseException:
        if keyring is not None:
            keyring.close()
        await writer.close()
        raise


@contextmanager
def _saved(directory: Path, missing: Sequence[int]) -> Iterator[Callable[[], object]]:
    """What keeps a copy from before these migrations. It is made before anybody has to wait; who
    finds them done by another process keeps none: it may be one from behind them."""
    if not missing:
        yield lambda: None
        return
    draft = save_before_migration(directory, missing[0], compact(unix_ms()))
    try:
        yield lambda: keep_saved(draft)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _no_daemon(directory: Path) -> Iterator[None]:
    """None has the store, nor gets it, while the block runs; else StoreError `store_older`."""
    try:
        lock = lock_store(directory, shared=False)
    except StoreError as error:
        raise StoreError("store_older") if error.code == "store_in_use" else error from None
    try:
        yield
    finally:
        lock.release()


async def _reader(directory: Path, busy_ms: int) -> Connection:
    reader = await _connect(directory / FILE_NAME, busy_ms)
    try:
        await reader.execute_fetchall("PRAGMA query_only=ON")
    except BaseException:
        await reader.close()
        raise
    return reader
