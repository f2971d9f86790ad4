"""The parts of an upload: how they are kept while they wait, and how they are written.

Law: a part is written from the tables' names and the upstream boundary; of the client's there is
its value or its content, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from relayd.wire.upload_fields import UploadField, file_kind


class KeptField(NamedTuple):
    """A field that is kept: its rank in the order, the name that is written, its value."""

    rank: int
    name: str
    value: bytes

    def __repr__(self) -> str:
        return "KeptField(...)"

    def write(self, boundary: bytes) -> bytes:
        """The whole part."""
        return b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
            boundary, self.name.encode(), self.value)


class KeptFile:
    """A file that is kept: its row, the kind that is written, its bytes as they came."""

    __slots__ = ("row", "rank", "listed", "kind", "chunks")

    def __init__(self, row: UploadField, rank: int, listed: bool, kind: tuple[str, str]) -> None:
        self.row = row
        self.rank = rank
        self.listed = listed
        self.kind = kind
        self.chunks: list[bytes] = []

    def head(self, boundary: bytes, number: int) -> bytes:
        """The part's head; `number` counts the files of one row from 1."""
        extension, media_type = self.kind
        name = self.row.name + "[]" if self.listed else self.row.name
        suffix = "" if number == 1 else str(number)
        text = (
            f'Content-Disposition: form-data; name="{name}"; '
            f'filename="{self.row.stem}{suffix}.{extension}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        return b"--%b\r\n%b" % (boundary, text.encode())


def kept_file(row: UploadField, rank: int, name: str, extension: str, media_type: str) -> KeptFile:
    """A file of the client's; `name` is the field's name as the client wrote it."""
    return KeptFile(row, rank, name.endswith("]"), file_kind(row.media, extension, media_type))


def in_order(fields: Iterable[KeptField]) -> list[KeptField]:
    """Fields as they are written: by rank, then by name, those of one name as they came."""
    return sorted(fields, key=_place)


def files_in_order(files: Iterable[KeptFile]) -> list[KeptFile]:
    """Files as they are written: by rank, those of one row as they came."""
    return sorted(files, key=_rank)


def _place(field: KeptField) -> tuple[int, str]:
    return field.rank, field.name


def _rank(file: KeptFile) -> int:
    return file.rank
