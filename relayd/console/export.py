"""Files to take away: CSV for tables, JSON for programs.

Law: no cell is a formula (core/cell.py); a file's name is the console's own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from relayd.core.cell import cell

Format = Literal["csv", "json"]

_PLAIN: Final = frozenset({int, float, type(None)})
"""What a table has as it is."""


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as RFC 4180 has them."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(
        [value if type(value) in _PLAIN else cell(value) for value in row] for row in rows)
    return buffer.getvalue().encode("utf-8")


def csv_bytes(kind: type[msgspec.Struct], rows: Iterable[Any]) -> bytes:
    """Structs of one kind as a table, their fields' names first."""
    names = kind.__struct_fields__
    return csv_lines([names]) + csv_lines(
        [getattr(row, name) for name in names] for row in rows)


def attachment(name: str) -> dict[str, str]:
    """The header that makes a browser keep the answer as a file."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


async def streamed(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes],
) -> web.StreamResponse:
    """An answer that is made while it is sent; of one to HEAD nothing is.

    What fails on the way ends the connection: no other answer can be given any more, and whoever
    reads it learns that the file is not whole.
    """
    await response.prepare(request)
    try:
        if request.method != "HEAD":
            async for piece in pieces:
                await response.write(piece)
    except Exception:
        if request.transport is not None:
            request.transport.close()
        raise
    await response.write_eof()
    return response


def download(name: str, content: bytes, kind: str) -> web.Response:
    """An answer that is kept as a file."""
    return web.Response(body=content, content_type=kind, charset="utf-8",
                        headers=attachment(name))
