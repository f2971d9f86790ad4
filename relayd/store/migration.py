"""The schema's versions: files `migrations/NNNN_name.sql`, applied in order, forward only.

Law: what is missing is applied in one transaction, together with its rows in `schema_migrations`;
a file that was released is never changed. A store with a version unknown here is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Final, NamedTuple

import aiosqlite

from relayd.store.connection import Connection, Statement
from relayd.store.directory import StoreError
from relayd.store.sealer import Sealer

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
) STRICT
"""
_MARK: Final = "secret_mark"
SEALED_SINCE: Final = 5
"""The migration after which personal columns are sealed."""


class Migration(NamedTuple):
    """One file: `version` is its number, `sql` its text."""

    version: int
    name: str
    sql: str


def known() -> list[Migration]:
    """The migrations that this relayd has, by version."""
    folder = resources.files("relayd.store") / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text("utf-8")))
    return sorted(found)


def statements(sql: str) -> Iterator[str]:
    """The statements of a file; a trigger's body stays whole."""
    lines: list[str] = []
    for line in sql.splitlines(keepends=True):
        lines.append(line)
        if sqlite3.complete_statement("".join(lines)):
            yield "".join(lines)
            lines = []


async def migrate(
    connection: Connection, mark: str, sealer: Sealer,
    before: Callable[[], object] = lambda: None,
) -> None:
    """Bring the schema up to date and check that the secret is the store's own.

    `mark` is `secret.mark()`; a new store keeps it. `sealer` seals what an older schema had in
    clear text. `before` is called where an older one is changed, and by nobody else from then on.
    Holds the write lock throughout, so that two processes that start together apply
    each file once. Raises StoreError `store_newer` or
    `store_secret`; then nothing was changed.
    """
    await _lend(connection, sealer)
    await _make_keys(connection, sealer)
    await connection.execute("BEGIN IMMEDIATE")
    try:
        await _upgrade(connection, before)
        await _check_mark(connection, mark)
        await connection.execute("COMMIT")
    except BaseException:
        await connection.rollback()
        raise


async def _lend(connection: Connection, sealer: Sealer) -> None:
    """The functions that a migration may call: seal(owner, table, column, row, text), blind()."""

    def seal(owner: str, table: str, column: str, row: str, text: str | None) -> bytes | None:
        if text is not None:
            sealer.keyring.make_now(owner)
        return sealer.seal(owner, table, column, row, text)

    def blind(kind: str, text: str | None) -> bytes | None:
        return None if text is None else sealer.blind(kind, text)

    await connection.create_function("seal", 5, seal)
    await connection.create_function("blind", 2, blind, deterministic=True)


async def _make_keys(connection: Connection, sealer: Sealer) -> None:
    """Keys for the accounts of an older schema, all at once: each with its own sync takes long."""
    applied = await _applied(connection)
    if applied and SEALED_SINCE not in applied:
        rows = await connection.execute_fetchall("SELECT id FROM accounts")
        sealer.keyring.make_now(*(row[0] for row in rows))


async def is_sealed(connection: Connection) -> bool:
    """Whether the store has columns that only `keys.db` opens."""
    return SEALED_SINCE in await _applied(connection)


async def _applied(connection: aiosqlite.Connection) -> set[int]:
    there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
    if not list(await connection.execute_fetchall(there)):
        return set()
    rows = await connection.execute_fetchall("SELECT version FROM schema_migrations")
    return {int(row[0]) for row in rows}


async def pending(connection: aiosqlite.Connection) -> list[int]:
    """The migrations that would change a store; none where it is new, or a later relayd's."""
    applied = await _applied(connection)
    wanted = {migration.version for migration in known()}
    return sorted(wanted - applied) if applied and applied <= wanted else []


async def _upgrade(connection: Connection, before: Callable[[], object]) -> None:
    await connection.execute(_TABLE)
    rows = await connection.execute_fetchall("SELECT version FROM schema_migrations")
    applied = {row[0] for row in rows}
    migrations = known()
    if applied - {migration.version for migration in migrations}:
        raise StoreError("store_newer")
    missing = [migration for migration in migrations if migration.version not in applied]
    if applied and missing:
        before()
    work: list[Statement] = []
    for migration in missing:
        work += [(statement, None) for statement in statements(migration.sql)]
        work.append(("INSERT INTO schema_migrations (version, name) VALUES (?, ?)",
                     [(migration.version, migration.name)]))
    await connection.run_all(work)


async def _check_mark(connection: Connection, mark: str) -> None:
    await connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (_MARK, mark)
    )
    rows = await connection.execute_fetchall("SELECT value FROM meta WHERE name = ?", (_MARK,))
    if [row[0] for row in rows] != [mark]:
        raise StoreError("store_secret")
