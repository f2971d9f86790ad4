"""The chunked transfer coding (RFC 9112 section 7.1): of request bodies, read strictly.

Where llhttp would do, its reader does not say at which octet a message ends; a relay that answers
pipelined requests in order, with bounded buffers, has to know. So the framing is read here.
"""

from __future__ import annotations

import re
from typing import Final

from relayd.core.errors import RelayError

LINE_BYTES_MAX: Final = 256
"""One chunk-size line, its extensions included."""
OVERHEAD_BYTES_MAX: Final = 16 * 1024
"""Extensions and trailers of one message together; chunk-size digits are not counted."""

BODY_BYTES_MAX: Final = (1 << 32) - 1
"""Octets of one body, where its reader is not told a smaller limit."""

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = (rb"\"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]"
                  rb"|\\[\t\x20-\x7e\x80-\xff])*\"")
_SIZE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*"
    % (_TOKEN, _TOKEN, _QUOTED))
_BEGUN: Final = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?)?")
"""What a size line may look like before it has ended."""
_TRAILER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*")
_FORBIDDEN: Final = frozenset({
    b"host", b"content-length", b"transfer-encoding", b"authorization", b"trailer", b"te",
    b"connection", b"content-encoding", b"content-type", b"content-range", b"expect", b"upgrade",
    b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie",
})


def is_chunk(data: bytes) -> bool:
    """Whether these are one chunk and no more, framed as the relay frames; the last is none."""
    at = data.find(b"\r\n", 1, 9)
    size = len(data) - at - 4
    return (at > 0 and size > 0 and data.endswith(b"\r\n")
            and data.startswith(b"%x\r" % size))


class ChunkedReader:
    """Takes the bytes of one chunked body; `done` once its last empty line has been read.

    A chunk that would bring the body over `body_bytes_max` is refused when its size is known.
    """

    __slots__ = ("done", "_left", "_may_come", "_after_data", "_in_trailer", "_line", "_overhead")

    def __init__(self, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self.done = False
        self._left = 0
        self._may_come = body_bytes_max
        self._after_data = False
        self._in_trailer = False
        self._line = b""
        self._overhead = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The body octets in `data`, and what lies behind the end of the message.

        Raises RelayError `bad_http` for anything that is not exactly the grammar.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                piece = data[at:at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._after_data = not self._left
            else:
                at = self._read_line(data, at)
        return pieces, data[at:]

    def _read_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        limit = OVERHEAD_BYTES_MAX if self._in_trailer else LINE_BYTES_MAX
        if len(self._line) + stop - at > limit:
            raise RelayError("head_too_large", close=True)
        self._line += data[at:stop]
        if end < 0:
            self._check_partial()
            return stop
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise RelayError("bad_http", close=True)
        self._take(line[:-2])
        return stop

    def _check_partial(self) -> None:
        """Refuses what can no longer become a line, without waiting for its end."""
        line = self._line[:-1] if self._line.endswith(b"\r") else self._line
        if self._after_data:
            valid = line == b""
        elif self._in_trailer:
            valid = b"\r" not in line and b"\0" not in line
        else:
            valid = line == b"" or _BEGUN.fullmatch(line) is not None
        if not valid:
            raise RelayError("bad_http", close=True)

    def _take(self, line: bytes) -> None:
        if self._after_data:
            if line:
                raise RelayError("bad_http", close=True)
            self._after_data = False
        elif self._in_trailer:
            self._take_trailer(line)
        else:
            self._take_size(line)

    def _take_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise RelayError("bad_http", close=True)
        self._count(len(line) - len(match[1]))
        self._left = int(match[1], 16)
        self._may_come -= self._left
        if self._may_come < 0:
            raise RelayError("body_too_large", close=True)
        self._in_trailer = not self._left

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._count(len(line))
        match = _TRAILER.fullmatch(line)
        if match is None or match[1].lower() in _FORBIDDEN:
            raise RelayError("bad_http", close=True)

    def _count(self, octets: int) -> None:
        self._overhead += octets
        if self._overhead > OVERHEAD_BYTES_MAX:
            raise RelayError("head_too_large", close=True)
