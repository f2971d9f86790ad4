"""Reads multipart/form-data (RFC 7578) without keeping a file: neither in memory nor on disk."""

from __future__ import annotations

from typing import Final

from aiohttp import BodyPartReader, MultipartReader, web

from relayd.demo.reply import Body

FIELD_BYTES_MAX: Final = 256 * 1024
READ_BYTES: Final = 64 * 1024


async def read_form(request: web.Request) -> Body:
    """The text fields by name; of files only their number of bytes, as `NAME_bytes`.

    Raises ValueError where the body is no form.
    """
    form: Body = {}
    reader = await request.multipart()
    async for part in reader:
        if isinstance(part, MultipartReader):
            raise ValueError("a form within a form")
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        name = part.name.removesuffix("[]")
        if part.filename is None:
            form[name] = (await _read(part)).decode("utf-8", "replace")
        else:
            form[f"{name}_bytes"] = form.get(f"{name}_bytes", 0) + await _measure(part)
    return form


async def _read(part: BodyPartReader) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(READ_BYTES):
        data += chunk
        if len(data) > FIELD_BYTES_MAX:
            raise ValueError("a field is too long")
    return bytes(data)


async def _measure(part: BodyPartReader) -> int:
    size = 0
    while chunk := await part.read_chunk(READ_BYTES):
        size += len(chunk)
    return size
