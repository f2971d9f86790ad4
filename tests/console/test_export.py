"""A file has its fields' names first, and is cut where it fails."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web

from relayd.console.export import csv_bytes, download, streamed
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.core.errors import RelayError
from relayd.store.db import Database
from tests.console.conftest import started


class Pair(msgspec.Struct):
    """Two fields."""

    a: str
    b: int | None


def test_rows_are_read_as_they_were_written() -> None:
    rows = [Pair('x,"y"\nz', 1), Pair("中", None), Pair("=1", 2)]
    found = list(csv.reader(io.StringIO(csv_bytes(Pair, rows).decode(), newline="")))
    assert found == [["a", "b"], ['x,"y"\nz', "1"], ["中", ""], ["'=1", "2"]]


def test_a_download_is_kept_as_a_file() -> None:
    answer = download("use.csv", b"a", "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="use.csv"'
    assert answer.content_type == "text/csv"


@pytest.mark.parametrize("error", [RelayError("store_failed"), RuntimeError()])
async def test_a_file_that_fails_on_the_way_is_cut_and_nothing_else_stands_in_it(
    db: Database, error: Exception,
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a,b\r\n"
        raise error

    async def handler(visit: Visit) -> web.StreamResponse:
        return await streamed(visit.request, web.StreamResponse(), pieces())

    console = await started(db, [Route("GET", "/file", handler, PUBLIC, "A file")])
    reader, writer = await asyncio.open_connection(*console.listener.address)
    writer.write(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.count(b"HTTP/1.1") == 1 and answer.endswith(b"\r\n\r\n5\r\na,b\r\n\r\n")
    writer.close()
    await console.stop()
