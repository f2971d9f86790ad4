"""Forms with files: multipart/form-data, read as it arrives and kept in memory alone.

Law: no file is read before the form's own token. Everything is bounded: what is beyond a bound is
read and thrown away, so that the page can say what was too large, and that too has its bound; so
has what a packed form unpacks to. Names and types that a browser gives files are not looked at:
what a file is, its content says.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, get_args, get_type_hints

from aiohttp import web

from relayd.console.form import BODY_BYTES_MAX
from relayd.console.route import Files, Route
from relayd.console.visit import CSRF_FIELD
from relayd.core.errors import RelayError
from relayd.wire.multipart_reader import MultipartReader, PartHead, boundary_of

FIELDS_MAX: Final = 64
UPLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of a whole form, with all that is thrown away."""
UPLOAD_SECONDS: Final = 120.0
SLICE_BYTES: Final = 64 * 1024
"""What is unpacked at once."""
_GZIP_BITS: Final = 31
_UNSOUND: Final = (web.RequestPayloadError, zlib.error)
Fields = list[tuple[str, "str | bytes"]]


def file_names(kind: type | None) -> frozenset[str]:
    """The fields of a Struct that hold files: those of bytes."""
    hints = {} if kind is None else get_type_hints(kind)
    return frozenset(name for name, hint in hints.items()
                     if hint is bytes or bytes in get_args(hint))


def token_of(fields: Iterable[tuple[str, str | bytes]]) -> str:
    """The form's token among its fields."""
    return next((str(value) for name, value in fields if name == CSRF_FIELD), "")


class Parts:
    """Takes what the reader finds. A file is kept up to one byte beyond its bound, and files up to
    one beyond their number, empty: whoever judges them sees that it was too much."""

    def __init__(self, names: frozenset[str], files: Files, admit: Callable[[str], None]) -> None:
        self._names = names
        self._files = files
        self._admit = admit
        self._name = ""
        self._is_file = False
        self._value = bytearray()
        self._left = BODY_BYTES_MAX
        self._kept = 0
        self.fields: Fields = []

    def __repr__(self) -> str:
        return "<Parts>"

    def part_begin(self, head: PartHead) -> None:
        """A field; or a file, where one belongs and the form's token has come."""
        if head.is_file != (head.name in self._names) or len(self.fields) == FIELDS_MAX:
            raise RelayError("invalid_form")
        if head.is_file:
            self._admit(token_of(self.fields))
        self._name, self._is_file = head.name, head.is_file
        self._value.clear()

    def part_data(self, data: bytes) -> None:
        """Keeps what may be kept."""
        if self._is_file:
            many = self._kept >= self._files.most
            room = 1 if many else self._files.bytes_max + 1
            self._value += data[:room - len(self._value)]
            return
        self._left -= len(data)
        if self._left < 0:
            raise RelayError("invalid_form")
        self._value += data

    def part_end(self) -> None:
        """A field that was not filled in, and a file that was not chosen, are empty."""
        if not self._is_file:
            try:
                self.fields.append((self._name, self._value.decode()))
            except UnicodeDecodeError:
                raise RelayError("invalid_form") from None
        elif self._value and self._kept <= self._files.most:
            self._kept += 1
            self.fields.append((self._name, bytes(self._value)))


async def read(request: web.Request, route: Route, admit: Callable[[str], None]) -> Fields:
    """A form's fields and files. `admit` takes the form's token before the first file, and raises.

    Raises `invalid_form`, `invalid_multipart`, `unsupported_media_type`, `body_too_large`,
    `request_timeout`.
    """
    assert route.files is not None
    reader = MultipartReader(boundary_of(
        request.headers.get("Content-Type", "").encode("latin-1", "replace")))
    parts = Parts(file_names(route.takes), route.files, admit)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for piece in _pieces(request, UPLOAD_BYTES_MAX):
                reader.feed(piece, parts)
    except TimeoutError:
        raise RelayError("request_timeout") from None
    except _UNSOUND:
        raise RelayError("invalid_form") from None
    reader.finish()
    return parts.fields


async def body(request: web.Request, files: Files) -> bytes:
    """A program's body, with files in it as base64. Raises `body_too_large`, `invalid_json`,
    `request_timeout`."""
    bytes_max = files.most * (files.bytes_max * 4 // 3 + 4) + BODY_BYTES_MAX
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return b"".join([piece async for piece in _pieces(request, bytes_max)])
    except TimeoutError:
        raise RelayError("request_timeout") from None
    except _UNSOUND:
        raise RelayError("invalid_json") from None


async def _pieces(request: web.Request, bytes_max: int) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises `body_too_large` beyond the bound."""
    left = bytes_max
    async for piece in _plain(request):
        left -= len(piece)
        if left < 0:
            raise RelayError("body_too_large")
        yield piece


async def _plain(request: web.Request) -> AsyncIterator[bytes]:
    """The same, unpacked where it is packed, with a turn of the loop between slices."""
    packed = request.headers.get("Content-Encoding", "").strip().lower() == "gzip"
    unpacker = zlib.decompressobj(wbits=_GZIP_BITS)
    async for piece in request.content.iter_any():
        while packed and piece:
            yield unpacker.decompress(piece, SLICE_BYTES)
            piece = unpacker.unconsumed_tail
            await asyncio.sleep(0)
        yield piece
