"""API keys as rows: their keyed hash, never their text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from relayd.core.key import ERASED_NAME, ApiKey
from relayd.core.limit import OwnLimits
from relayd.core.snapshot import KeyGrant
from relayd.store.directory import StoreError
from relayd.store.seal import UNREADABLE
from relayd.store.transaction import Row, Transaction

_SELECT: Final = (
    "SELECT id, account_id, name, hint, app, models, state, created_at_ms, expires_at_ms, replaces"
    " FROM api_keys"
)
_GRANTS: Final = (
    "SELECT k.digest, k.id, k.account_id, k.app, k.models, k.expires_at_ms, k.state, a.state"
    " FROM api_keys k JOIN accounts a ON a.id = k.account_id"
)
_NOTHING: Final[Mapping[str, Mapping[str, int]]] = {}
_NOBODY: Final[frozenset[str]] = frozenset()


class Known(NamedTuple):
    """What grants have of their accounts and keys besides the keys' rows: the accounts that agreed
    to providers outside China, to such that may train models on content, and to keep what
    application a request says it is of; the own limits of accounts and of keys."""

    overseas: frozenset[str] = _NOBODY
    training: frozenset[str] = _NOBODY
    attribution: frozenset[str] = _NOBODY
    of_accounts: Mapping[str, Mapping[str, int]] = _NOTHING
    of_keys: Mapping[str, Mapping[str, int]] = _NOTHING


def _models_text(models: tuple[str, ...] | None) -> str | None:
    return None if models is None else orjson.dumps(models).decode("utf-8")


def _sealed_name(transaction: Transaction, key: ApiKey) -> bytes | None:
    name = None if key.name == ERASED_NAME else key.name
    return transaction.seal(key.account, "api_keys", "name", key.id, name)


def _key(transaction: Transaction, row: Row) -> ApiKey:
    values = list(row)
    values[2] = _name(transaction, row)
    values[5] = None if row[5] is None else tuple(orjson.loads(row[5]))
    return ApiKey(*values)


def _name(transaction: Transaction, row: Row) -> str:
    """One that can be read no more keeps nobody from the rest of the key."""
    try:
        return transaction.unseal(row[1], "api_keys", "name", row[0], row[2]) or ERASED_NAME
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        return ERASED_NAME


async def insert(transaction: Transaction, key: ApiKey, digest: bytes) -> None:
    """Add a key under its keyed hash."""
    await transaction.run(
        "INSERT INTO api_keys (id, account_id, digest, hint, name, app, models, state,"
        " created_at_ms, expires_at_ms, replaces) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key.id, key.account, digest, key.hint, _sealed_name(transaction, key),
         key.app, _models_text(key.models),
         key.state, key.created_at_ms, key.expires_at_ms, key.replaces),
    )


async def update(transaction: Transaction, key: ApiKey) -> None:
    """Write what may change of a key: its name, app label, models, state and expiry."""
    await transaction.run(
        "UPDATE api_keys SET name = ?, app = ?, models = ?, state = ?, expires_at_ms = ?"
        " WHERE id = ?",
        (_sealed_name(transaction, key), key.app, _models_text(key.models), key.state,
         key.expires_at_ms, key.id),
    )


async def end(transaction: Transaction, key: ApiKey) -> None:
    """Write its state and expiry alone: also of one whose name can be read no more."""
    await transaction.run(
        "UPDATE api_keys SET state = ?, expires_at_ms = ? WHERE id = ?",
        (key.state, key.expires_at_ms, key.id))


async def empty(transaction: Transaction, account_id: str) -> None:
    """Take all that is personal from an account's keys, and revoke them: in one statement, for
    there may be any number of revoked ones."""
    await transaction.run(
        "UPDATE api_keys SET name = NULL, app = NULL, models = NULL, state = 'revoked'"
        " WHERE account_id = ?", (account_id,))


async def count(transaction: Transaction, account_id: str) -> int:
    """How many of an account's keys are not revoked."""
    row = await transaction.row(
        "SELECT COUNT(*) FROM api_keys WHERE account_id = ? AND state = 'active'", (account_id,))
    return int(row[0]) if row else 0


async def find(transaction: Transaction, key_id: str) -> ApiKey | None:
    """The key with this id."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (key_id,))
    return None if row is None else _key(transaction, row)


async def find_by_digest(transaction: Transaction, digest: bytes) -> ApiKey | None:
    """The key with this keyed hash."""
    row = await transaction.row(f"{_SELECT} WHERE digest = ?", (digest,))
    return None if row is None else _key(transaction, row)


async def listing(transaction: Transaction, account_id: str | None = None) -> list[ApiKey]:
    """All keys, or those of one account, oldest first."""
    return await page(transaction, account_id, "", -1)


async def page(
    transaction: Transaction, account_id: str | None, after_id: str, most: int,
) -> list[ApiKey]:
    """At most `most` of an account's keys, None: of everybody's, oldest first, from behind an id.
    One whose account's data key is lost has no name."""
    whose = "" if account_id is None else " AND account_id = ?3"
    rows = await transaction.rows(
        f"{_SELECT} WHERE id > ?1{whose} ORDER BY id LIMIT ?2",
        (after_id, most) if account_id is None else (after_id, most, account_id))
    return [_key(transaction, row) for row in rows]


async def names(transaction: Transaction, ids: Collection[str]) -> dict[str, str]:
    """The names of those of these keys that there are, by id."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE id IN (SELECT value FROM json_each(?))",
        (orjson.dumps(list(ids)).decode(),))
    return {row[0]: _key(transaction, row).name for row in rows}


async def shown(transaction: Transaction, account_id: str, ended: int) -> list[ApiKey]:
    """An account's keys that are not revoked, and the newest `ended` ones that are, oldest first.
    """
    rows = await transaction.rows(
        f"{_SELECT} WHERE account_id = ?1 AND state = 'active' UNION ALL SELECT * FROM ({_SELECT}"
        " WHERE account_id = ?1 AND state <> 'active' ORDER BY id DESC LIMIT ?2)",
        (account_id, ended))
    return [_key(transaction, row) for row in sorted(rows)]


async def some(
    transaction: Transaction, account_id: str, ids: Collection[str],
) -> list[ApiKey]:
    """Those of these keys that are the account's."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE id IN (SELECT value FROM json_each(?)) AND account_id = ?",
        (orjson.dumps(list(ids)).decode(), account_id))
    return [_key(transaction, row) for row in rows]


async def labels(
    transaction: Transaction, account_id: str, ids: Collection[str],
) -> dict[str, str | None]:
    """The application labels of those of these keys that are the account's."""
    return dict(await transaction.rows(
        "SELECT id, app FROM api_keys WHERE id IN (SELECT value FROM json_each(?))"
        " AND account_id = ?", (orjson.dumps(list(ids)).decode(), account_id)))


async def count_working(transaction: Transaction, account_id: str, now_ms: int) -> int:
    """How many of an account's keys open the door at this time."""
    row = await transaction.row(
        "SELECT COUNT(*) FROM api_keys WHERE account_id = ? AND state = 'active'"
        " AND (expires_at_ms IS NULL OR expires_at_ms > ?)", (account_id, now_ms))
    return int(row[0]) if row else 0


async def grants(
    transaction: Transaction, known: Known = Known(),
) -> AsyncIterator[dict[bytes, KeyGrant]]:
    """What the relay must know of every key that is not revoked, by digest, in batches."""
    # half the time of a join: nearly all are active
    others: dict[str, str] = dict(await transaction.rows(
        "SELECT id, state FROM accounts WHERE state <> 'active'"))
    sql = ("SELECT digest, id, account_id, app, models, expires_at_ms FROM api_keys"
           " WHERE state = 'active'")
    async for rows in transaction.batches(sql):
        yield {row[0]: _grant(row, known, others.get(row[2], "active"))
               for row in rows if others.get(row[2]) != "erased"}


async def changed_grants(
    transaction: Transaction, accounts: Sequence[str], keys: Sequence[str], known: Known,
) -> dict[bytes, KeyGrant | None]:
    """The same of the keys of these accounts and of these keys; None for one that is no more."""
    rows = await transaction.rows(
        f"{_GRANTS} WHERE k.state = 'active' AND k.account_id IN (SELECT value FROM json_each(?1))"
        f" UNION ALL {_GRANTS} WHERE k.id IN (SELECT value FROM json_each(?2))",
        (orjson.dumps(accounts).decode(), orjson.dumps(keys).decode()))
    return {row[0]: _grant(row[:6], known, row[7])
            if row[6] == "active" and row[7] != "erased" else None for row in rows}


def _grant(row: Row, known: Known, state: str) -> KeyGrant:
    _, key_id, account, app, models, expires_at_ms = row
    of_account, of_key = known.of_accounts.get(account), known.of_keys.get(key_id)
    return KeyGrant(
        key_id, account, app, None if models is None else frozenset(orjson.loads(models)),
        expires_at_ms, state != "active",
        OwnLimits(of_account or {}, of_key or {}) if of_account or of_key else None,
        account in known.overseas, account in known.training, account in known.attribution)
