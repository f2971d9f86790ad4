"""The export: everything that is kept about oneself, as a zip of JSON documents and their schema.

Law: it is written as it is read, so that no account is too large, and it is never on a disk here.
That it was taken is in the audit log before its first byte leaves.
"""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator
from typing import IO, Final

import orjson

from relayd import __version__
from relayd.control import audit
from relayd.control.portable import DOCUMENTS, Rows, Span, readable
from relayd.core import portable as core_portable
from relayd.core.account import Account
from relayd.core.actor import Actor
from relayd.core.timestamp import rfc3339
from relayd.store import account as store_account
from relayd.store.db import Database

FORMAT: Final = "relayd export 1"
MANIFEST_NAME: Final = "manifest.json"
SCHEMA_NAME: Final = "schema.json"
PIECE_BYTES: Final = 64 * 1024
ROWS_AT_ONCE: Final = 200
_DATED: Final = (1980, 1, 1, 0, 0, 0)
"""Entries carry no time of their own: the manifest says when."""


class Sink:
    """What the zip is written to; `take` gives what has come since."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, piece: bytes, /) -> int:
        """Holds the piece until it is taken."""
        self._held += piece
        return len(piece)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """The zip is whole."""

    def take(self, least: int = 0) -> bytes:
        """All there is, once it is at least so much."""
        if len(self._held) < max(1, least):
            return b""
        taken, self._held = bytes(self._held), bytearray()
        return taken


async def note(db: Database, actor: Actor, who: str, now_ms: int) -> Account:
    """Say that everything about an account is taken now. Raises `account_not_found`."""
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        await audit.append(transaction, actor, "account.export", account.id, now_ms)
    return account


def dated(name: str) -> zipfile.ZipInfo:
    """An entry of this name."""
    return zipfile.ZipInfo(name, _DATED)


async def export(db: Database, actor: Actor, who: str, now_ms: int) -> AsyncIterator[bytes]:
    """The zip of an account, piece by piece. Raises `account_not_found` before the first."""
    account = await note(db, actor, who, now_ms)
    sink, unread = Sink(), list[str]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(dated(SCHEMA_NAME), schema(), zipfile.ZIP_DEFLATED)
        async for _ in entries(db, archive, account.id, "", Span(0, now_ms + 1), unread):
            if taken := sink.take(PIECE_BYTES):
                yield taken
        archive.writestr(dated(MANIFEST_NAME), manifest(account.id, unread, now_ms),
                         zipfile.ZIP_DEFLATED)
    yield sink.take()


async def entries(
    db: Database, archive: zipfile.ZipFile, account_id: str, folder: str, span: Span,
    unread: list[str],
) -> AsyncIterator[int]:
    """Writes every document of an account into a zip; yields now and then, so that what there is
    can be taken. Those that can be read no more end there, and are named in `unread`."""
    for name, source in DOCUMENTS.items():
        info = dated(f"{folder}{name}.json")
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w", force_zip64=True) as entry:
            async for rows in _document(
                    readable(source(db, account_id, span), name, unread), entry):
                yield rows
        yield 0


async def _document(rows: Rows, entry: IO[bytes]) -> AsyncIterator[int]:
    """Writes a list of rows; yields their number now and then."""
    count, separator = 0, b"[\n"
    async for row in rows:
        entry.write(separator + orjson.dumps(row))
        count, separator = count + 1, b",\n"
        if count % ROWS_AT_ONCE == 0:
            yield count
    entry.write(b"\n]\n" if count else b"[]\n")


def manifest(account_id: str, unread: list[str], now_ms: int) -> bytes:
    """What the zip is, and what of it could be read no more."""
    return orjson.dumps({
        "format": FORMAT, "account": account_id, "made_at": rfc3339(now_ms),
        "made_by": f"relayd {__version__}", "documents": [f"{name}.json" for name in DOCUMENTS],
        "unread": unread,
    }, option=orjson.OPT_INDENT_2)


def schema() -> bytes:
    """The JSON Schema (2020-12) of every document."""
    return orjson.dumps({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": FORMAT,
        "$defs": {name: core_portable.schema(name) for name in DOCUMENTS},
    }, option=orjson.OPT_INDENT_2)
