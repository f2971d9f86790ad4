"""What a copy of the store still has of accounts that were erased after it was made.

Law: a destroyed key's owner stays known (store/keyring.py), so that no old copy brings anybody
back: what of them is in it is taken away again before anything is served.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import orjson

from relayd.store.erasure import TABLES
from relayd.store.migration import SEALED_SINCE
from relayd.store.transaction import Transaction, mapped


def living_in(path: Path) -> set[str]:
    """The accounts that a database file has, but for erased ones."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    with mapped(), closing(sqlite3.connect(address, uri=True)) as db:
        return {row[0] for row in db.execute("SELECT id FROM accounts WHERE state <> 'erased'")}


def erased_in(path: Path) -> set[str]:
    """The accounts that the database of a store has as erased; none where it cannot be read."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as db:
        return {row[0] for row in db.execute("SELECT id FROM accounts WHERE state = 'erased'")}
    return set()


async def living(transaction: Transaction, of: Collection[str]) -> list[str]:
    """Those of these accounts that the store does not know to be erased."""
    rows = await transaction.rows(
        "SELECT id FROM accounts WHERE state <> 'erased' AND id IN"
        " (SELECT value FROM json_each(?)) ORDER BY id", (orjson.dumps(list(of)).decode(),))
    return [row[0] for row in rows]


async def blank(transaction: Transaction, account: str, now_ms: int) -> None:
    """Empties what names somebody in rows that stay, as an erasure does; opens nothing."""
    for rule in TABLES:
        if rule.fate == "empty":
            columns = ", ".join(f"{name} = NULL" for name in rule.emptied)
            if rule.table == "accounts":
                columns += f", state = 'erased', state_since_ms = {int(now_ms)}"
            if rule.table == "api_keys":
                columns += ", state = 'revoked'"
            await transaction.run(
                f"UPDATE {rule.table} SET {columns} WHERE {rule.column} = ?", (account,))


def blank_unsealed(path: Path, schema: int, accounts: Collection[str]) -> int:
    """The same in a file from before personal columns were sealed, where they stand in clear.

    To be done before it is migrated: the erased get no key to be sealed with. Returns how many.
    """
    if schema >= SEALED_SINCE or not accounts:
        return 0
    wanted = (orjson.dumps(sorted(accounts)).decode(),)
    of = "(SELECT value FROM json_each(?))"
    with mapped(), closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete=ON")
        found = db.execute(
            "UPDATE accounts SET email = NULL, email_folded = NULL, name = NULL, state = 'erased'"
            f" WHERE state <> 'erased' AND id IN {of}", wanted).rowcount
        db.execute("UPDATE api_keys SET name = 'erased', app = NULL, models = NULL,"
                   " state = 'revoked'"
                   f" WHERE account_id IN {of}", wanted)
        db.execute(f"UPDATE call_records SET app = NULL WHERE account_id IN {of}", wanted)
        db.execute("VACUUM")
    return found
