"""The head of a provider's answer: the few fields that matter, and whether its framing is sound.

llhttp has checked the grammar by then; the version, the status and the transfer coding are judged
here (RFC 9112 sections 2.3, 4 and 6.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from relayd.core.errors import RelayError

HEAD_BYTES_MAX: Final = 64 * 1024
"""A provider's header section; larger ones are not read."""

_FIELDS: Final = re.compile(
    rb"\r\n(content-type|content-length|transfer-encoding|connection|content-encoding"
    rb"|retry-after|retry-after-ms|x-should-retry|openai-poll-after-ms):[ \t]*([^\r]*)"
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(slots=True)
class ReplyHead:
    """`fields` are the wanted ones that do not frame, in lower case; `length` None: to the end.

    `delimited` is false where only the end of the connection ends the body.
    """

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    length: int | None
    delimited: bool
    content_type: bytes
    coded: bool
    raw: bytes = field(default=b"", repr=False)
    """The whole head in lower case, for what is of the relay's own interest."""


def read_reply_head(raw: bytes, status: int, version: str) -> ReplyHead:
    """Reads the final head in `raw`, which starts at its status line; raises upstream_protocol."""
    if status > 599:  # RFC 9110 section 15: to be taken as a server error
        raise RelayError("upstream_protocol", status=503)
    if version not in ("1.1", "1.0") or status < 200:
        raise RelayError("upstream_protocol")
    # values of these fields mean the same in lower case, which a plain search finds sooner
    raw = raw.lower()
    fields = [(name, value.rstrip(b" \t")) for name, value in _FIELDS.findall(raw)]
    found = dict(fields)
    coding = found.get(b"transfer-encoding")
    length = found.get(b"content-length")
    if coding is not None:
        if coding != b"chunked" or length is not None or version == "1.0":
            raise RelayError("upstream_protocol")
        size = None
    elif length is not None:
        if not length.isdigit() or len(length) > 18:
            raise RelayError("upstream_protocol")
        size = int(length)
    else:
        size = None
    bodyless = status in (204, 304)
    return ReplyHead(
        status, tuple([f for f in fields if f[0] not in _FRAMING]), 0 if bodyless else size,
        bodyless or coding is not None or size is not None,
        found.get(b"content-type", b""),
        found.get(b"content-encoding", b"identity") != b"identity",
        raw,
    )
