"""Reads multipart/form-data as it arrives: parts, then their bytes (RFC 7578, RFC 2046 5.1).

Law: bounded and linear; the parts that come out do not depend on how the input was cut. Whatever
is not well-formed is refused; what is sent on is written anew, so no second reading exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol
from urllib.parse import unquote_to_bytes

from relayd.core.errors import RelayError

PARTS_MAX: Final = 256
PART_HEAD_BYTES_MAX: Final = 8 * 1024
PREAMBLE_BYTES_MAX: Final = 4 * 1024
PADDING_BYTES_MAX: Final = 64

_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER: Final = re.compile(
    rb"[ \t]*;[ \t]*(?:(" + _TOKEN + rb")[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]+)))?",
    re.DOTALL,
)
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):([^\r\n\x00]*)")
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_EXTENSION: Final = re.compile(rb"\.([A-Za-z0-9]{1,8})\Z")
_AFTER: Final = re.compile(rb"--|[ \t]{0,%d}\r\n" % PADDING_BYTES_MAX)
_AFTER_BEGUN: Final = re.compile(rb"-?|[ \t]{0,%d}\r?" % PADDING_BYTES_MAX)
_IDENTITY_CODINGS: Final = frozenset({b"binary", b"8bit", b"7bit"})

State = Literal["preamble", "head", "fresh", "body", "epilogue"]


@dataclass(frozen=True, slots=True)
class PartHead:
    """What of a part's head matters. `extension` is the file name's, without its dot."""

    name: str
    is_file: bool
    extension: str
    content_type: str


class Sink(Protocol):
    """Takes what the reader finds: for each part one head, its bytes in pieces, its end."""

    def part_begin(self, head: PartHead) -> None:
        """A part begins."""

    def part_data(self, data: bytes) -> None:
        """Bytes of the part that has begun; never empty."""

    def part_end(self) -> None:
        """The part is complete."""


def boundary_of(content_type: bytes) -> bytes:
    """The boundary of a Content-Type; RelayError 415 where it is no form-data with one."""
    media_type, semicolon, rest = content_type.partition(b";")
    if media_type.strip().lower() != b"multipart/form-data":
        raise RelayError("unsupported_media_type")
    try:
        boundary = _parameters(semicolon + rest).get(b"boundary", b"")
    except RelayError:
        raise RelayError("unsupported_media_type") from None
    if not _BOUNDARY.fullmatch(boundary):
        raise RelayError("unsupported_media_type")
    return boundary


class MultipartReader:
    """A machine of five states: preamble, head, fresh (a body's first bytes), body, epilogue.

    The sink is given with each call, so that reader and sink make no cycle.
    """

    __slots__ = ("_delimiter", "_buffer", "_state", "_parts", "_skipped")

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # lets the first delimiter look like the others
        self._state: State = "preamble"
        self._parts = 0
        self._skipped = 0

    def __repr__(self) -> str:
        return f"<MultipartReader {self._state}>"

    def feed(self, data: bytes, sink: Sink) -> None:
        """Takes the next bytes; raises RelayError invalid_multipart."""
        if self._state == "epilogue":
            return
        self._buffer += data
        while self._step(sink):
            pass

    def finish(self) -> None:
        """The input is complete; raises RelayError where its last delimiter has not come."""
        if self._state != "epilogue":
            raise RelayError("invalid_multipart")

    def _step(self, sink: Sink) -> bool:
        """Goes one step; False where more input is needed."""
        if self._state == "head":
            return self._head(sink)
        if self._state == "fresh":
            return self._fresh()
        return self._state != "epilogue" and self._body(sink)

    def _head(self, sink: Sink) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", 0, PART_HEAD_BYTES_MAX + 4)
        if end < 0:
            if len(buffer) >= PART_HEAD_BYTES_MAX + 4 or buffer.startswith(b"\r\n"):
                raise RelayError("invalid_multipart")
            return False
        head = _part_head(bytes(buffer[:end]))
        del buffer[:end + 2]  # the empty line's CRLF stays: it may begin a delimiter
        self._state = "fresh"
        sink.part_begin(head)
        return True

    def _fresh(self) -> bool:
        """Leaves the empty line, unless it belongs to the delimiter of a part without a body."""
        buffer, delimiter = self._buffer, self._delimiter
        if len(buffer) < len(delimiter) and delimiter.startswith(buffer):
            return False
        if buffer.startswith(delimiter):
            behind = len(delimiter)
            if _AFTER_BEGUN.fullmatch(buffer, behind):
                return False
            if not _AFTER.match(buffer, behind):
                del buffer[:2]
        else:
            del buffer[:2]
        self._state = "body"
        return True

    def _body(self, sink: Sink) -> bool:
        """Hands on what is certain to be content, and looks for the next delimiter."""
        buffer, delimiter = self._buffer, self._delimiter
        at = buffer.find(delimiter)
        if at < 0:
            self._content(len(buffer) - len(delimiter) + 1, sink)
            return False
        behind = at + len(delimiter)
        after = _AFTER.match(buffer, behind)
        if after is not None:
            closing, size = after[0] == b"--", after.end() - at
            self._content(at, sink)
            del buffer[:size]
            self._part_over(closing, sink)
            return True
        if _AFTER_BEGUN.fullmatch(buffer, behind):
            self._content(at, sink)
            return False
        self._content(at + 2, sink)  # a line that only begins like a delimiter is content
        return True

    def _content(self, size: int, sink: Sink) -> None:
        if size <= 0:
            return
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        if self._state == "body":
            sink.part_data(data)
            return
        self._skipped += size
        if self._skipped > PREAMBLE_BYTES_MAX:
            raise RelayError("invalid_multipart")

    def _part_over(self, closing: bool, sink: Sink) -> None:
        if self._state == "body":
            sink.part_end()
        elif closing:
            raise RelayError("invalid_multipart")  # no part at all
        self._state = "epilogue" if closing else "head"
        if closing:
            self._buffer.clear()
            return
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise RelayError("invalid_multipart")


def _part_head(block: bytes) -> PartHead:
    """Reads the header fields of a part; raises RelayError."""
    fields: dict[bytes, bytes] = {}
    for line in block.split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        if match is None:
            raise RelayError("invalid_multipart")
        name = match[1].lower()
        if name in fields and name.startswith(b"content-"):
            raise RelayError("invalid_multipart")
        fields[name] = match[2].strip(b" \t")
    coding = fields.get(b"content-transfer-encoding", b"binary").lower()
    kind, semicolon, rest = fields.get(b"content-disposition", b"").partition(b";")
    if kind.strip().lower() != b"form-data" or coding not in _IDENTITY_CODINGS:
        raise RelayError("invalid_multipart")
    parameters = _parameters(semicolon + rest)
    try:
        name_text = parameters[b"name"].decode()
    except (KeyError, UnicodeDecodeError):
        raise RelayError("invalid_multipart") from None
    extended = parameters.get(b"filename*")
    file_name = parameters.get(b"filename", b"")
    if extended is not None:  # RFC 5987: charset'language'percent-encoded
        file_name = unquote_to_bytes(extended.rpartition(b"'")[2])
    extension = _EXTENSION.search(file_name)
    return PartHead(
        name_text,
        b"filename" in parameters or extended is not None,
        extension[1].decode() if extension else "",
        fields.get(b"content-type", b"").decode("ascii", "replace"),
    )


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """`; name=value` pairs (RFC 9110 section 5.6.6); each name once, in lower case."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            if text[at:].strip(b" \t"):
                raise RelayError("invalid_multipart")
            break
        at = match.end()
        if match[1] is None:
            continue
        name = match[1].lower()
        if name in found:
            raise RelayError("invalid_multipart")
        found[name] = match[3] if match[2] is None else _QUOTED_PAIR.sub(rb"\1", match[2])
    return found
