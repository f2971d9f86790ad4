"""Where the replies on one connection to a provider begin and end: llhttp's words for it.

Law: a reply's octets are its own; what comes behind one, unasked, belongs to nobody.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import httptools

from relayd.core.errors import RelayError

_BODILESS: Final = frozenset({100, 102, 103})
"""Interim answers that llhttp knows to have no body (RFC 9112 section 6.3: none has)."""


class Framing:
    """What llhttp reports of a connection's replies, one after the other.

    Body pieces are appended by C code, without a Python frame per piece.
    """

    __slots__ = ("parser", "pieces", "on_body", "marks", "on_chunk_header", "on_chunk_complete",
                 "interim", "headers_complete", "complete", "keep_alive", "_skipping")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.marks: list[bool] = []
        """Of the last read: True for each chunk that began in it, False for each that ended."""
        self.on_chunk_header = partial(self.marks.append, True)
        self.on_chunk_complete = partial(self.marks.append, False)
        self.begin()
        self.parser: Any = httptools.HttpResponseParser(self)
        # what a trailer says of lengths means nothing (RFC 9110 section 6.5.1; a head that says
        # both is refused in wire/replyhead.py), nor does space behind a size (RFC 9112 7.1.1)
        self.parser.set_dangerous_leniencies(
            lenient_chunked_length=True, lenient_spaces_after_chunk_size=True)

    def begin(self) -> None:
        """Another reply is due."""
        self.interim = 0
        self.headers_complete = False
        self.complete = False
        self.keep_alive = False
        self._skipping = False

    def close(self) -> None:
        """Lets go of the parser, which holds this object."""
        self.parser = None
        self.on_body = _swallow

    def on_message_begin(self) -> None:
        """A second message in one reply stops the parser: those octets belong to nobody."""
        if self.complete:
            raise RelayError("upstream_protocol")

    def on_headers_complete(self) -> None:
        """Interim answers (1xx) are read over; 101 was never asked for, and of some
        llhttp would read a body."""
        status = self.parser.get_status_code()
        if 100 <= status < 200:
            if status not in _BODILESS:
                raise RelayError("upstream_protocol")
            self._skipping = True
            self.interim += 1
        else:
            self.headers_complete = True

    def on_message_complete(self) -> None:
        """The end of the reply, unless it was an interim answer."""
        if self._skipping:
            self._skipping = False
        else:
            self.complete = True
            # llhttp knows it now and no later
            self.keep_alive = self.parser.should_keep_alive()


def _swallow(data: bytes) -> None:
    """Takes body pieces of a closed connection."""
