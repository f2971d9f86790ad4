"""Published documents as rows, which never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from relayd.core.document import Edition
from relayd.store.transaction import Row, Transaction

_SELECT: Final = (
    "SELECT name, version, language, body, digest, kind, gate, summary, items, published_at_ms,"
    " effective_at_ms FROM documents")


async def insert(transaction: Transaction, editions: Sequence[Edition]) -> None:
    """Add a version in each of its languages."""
    await transaction.many(
        "INSERT INTO documents (name, version, language, body, digest, kind, gate, summary, items,"
        " published_at_ms, effective_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(e.name, e.version, e.language, e.body, e.digest, e.kind, e.gate, e.summary,
          orjson.dumps(e.items).decode(), e.published_at_ms, e.effective_at_ms)
         for e in editions])


async def newest(transaction: Transaction, name: str, language: str) -> Edition | None:
    """The version that was published last, also where it is not yet in force."""
    row = await transaction.row(
        f"{_SELECT} WHERE name = ? AND language = ? ORDER BY version DESC LIMIT 1",
        (name, language))
    return None if row is None else _edition(row)


async def current(
    transaction: Transaction, name: str, language: str, now_ms: int,
) -> Edition | None:
    """The version that is in force."""
    row = await transaction.row(
        f"{_SELECT} WHERE name = ? AND language = ? AND effective_at_ms <= ?"
        " ORDER BY version DESC LIMIT 1", (name, language, now_ms))
    return None if row is None else _edition(row)


async def policy_in_force(transaction: Transaction, now_ms: int) -> int:
    """The number of the privacy policy that is in force; 0 before the first."""
    row = await transaction.row(
        "SELECT MAX(version) FROM documents"
        " WHERE name = 'privacy' AND language = 'en' AND effective_at_ms <= ?", (now_ms,))
    return 0 if row is None else int(row[0] or 0)


async def get(
    transaction: Transaction, name: str, version: int, language: str,
) -> Edition | None:
    """This version."""
    row = await transaction.row(
        f"{_SELECT} WHERE name = ? AND version = ? AND language = ?", (name, version, language))
    return None if row is None else _edition(row)


async def listing(transaction: Transaction, language: str) -> list[Edition]:
    """Every version in one language, by name, the newest first."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE language = ? ORDER BY name, version DESC", (language,))
    return [_edition(row) for row in rows]


async def gating(transaction: Transaction, now_ms: int) -> list[Edition]:
    """The newest gated version of each document that is in force, in English."""
    rows = await transaction.rows(
        f"{_SELECT} d WHERE language = 'en' AND gate <> 'none' AND effective_at_ms <= ?"
        " AND version = (SELECT max(version) FROM documents e WHERE e.name = d.name"
        " AND e.language = 'en' AND e.gate <> 'none' AND e.effective_at_ms <= ?) ORDER BY name",
        (now_ms, now_ms))
    return [_edition(row) for row in rows]


async def asked_anew(transaction: Transaction, item: str, now_ms: int) -> int:
    """The newest version in force that asks for this consent anew; 0 where none does."""
    row = await transaction.row(
        "SELECT max(version) FROM documents, json_each(items) WHERE language = 'en'"
        " AND gate <> 'none' AND effective_at_ms <= ? AND json_each.value = ?", (now_ms, item))
    return int(row[0]) if row and row[0] is not None else 0


def _edition(row: Row) -> Edition:
    name, version, language, body, digest, kind, gate, summary, items, published, effective = row
    return Edition(name, version, language, body, digest, kind, gate, summary,
                   tuple(orjson.loads(items)), published, effective)
