"""The head of a provider's answer: the few fields that matter, and whether its framing is sound.

llhttp has checked the grammar by then; the version, the status and the transfer coding are judged
here (RFC 9112 sections 2.3, 4 and 6.3).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from relayd.core.errors import RelayError

HEAD_BYTES_MAX: Final = 64 * 1024
"""A provider's header section; larger ones are not read."""

_fields: Final = re.compile(
    rb"\r\n(c(?:ontent-(?:type|length|encoding)|onnection)|transfer-encoding"
    rb"|retry-after(?:-ms)?|x-should-retry|openai-poll-after-ms):[ \t]*([^\r]*)"
).findall
_version: Final = re.compile(rb"[\r\n]*HTTP/(1\.[01]) ").match
_FRAMES: Final = re.compile(rb"\r\n(?:content-length|transfer-encoding):")
_interim: Final = re.compile(
    rb"HTTP/1\.[01] 1(?!01)\d\d(?: [^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n").match
_PADDED: Final = re.compile(rb"(\r\ntransfer-encoding:)[ \t]*(chunked)[ \t]+(?=\r\n)", re.I)
_FOLD: Final = re.compile(rb"\r\n[ \t]")
_FLAWED: Final = ((b"transfer-encoding", "reply_transfer_encoding"),
                  (b"content-length", "reply_content_length"))
FLAWS: Final = frozenset({"reply_not_http", "reply_head_long", "reply_field_folded",
                          "reply_head_invalid", *(word for _, word in _FLAWED)})
_NO_BODY: Final = (204, 304)
_NO_CODING: Final = frozenset({b"", b"identity", b"none", b"utf-8"})
"""What some servers write where nothing is encoded."""


class ReplyHead(msgspec.Struct, gc=False):
    """`fields` are the wanted ones that do not frame, in lower case; `length` None: to the end.

    `delimited` is false where only the end of the connection ends the body.
    """

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    length: int | None
    delimited: bool
    content_type: bytes
    coded: bool
    raw: bytes = b""
    """The whole head in lower case, for what is of the relay's own interest."""

    def __repr__(self) -> str:
        return f"ReplyHead({self.status})"

    @property
    def contradicts(self) -> bool:
        """Whether a status that has no body comes with fields that frame one: it may follow."""
        return self.status in _NO_BODY and _FRAMES.search(self.raw) is not None


def version_of(raw: bytes) -> str:
    """The version of HTTP that a head is of; llhttp takes answers of other protocols, too."""
    match = _version(raw)
    return match[1].decode() if match is not None else ""


def read_reply_head(raw: bytes, status: int, version: str) -> ReplyHead:
    """Reads the final head in `raw`, which starts at its status line; raises upstream_protocol."""
    if not 200 <= status <= 599 or version not in ("1.1", "1.0"):
        # RFC 9110 section 15: above 599 it is to be taken as a server error
        raise RelayError("upstream_protocol", status=503 if status > 599 else None)
    # values of these fields mean the same in lower case, which a plain search finds sooner
    raw = raw.lower()
    fields: list[tuple[bytes, bytes]] = []
    length = coding = None
    content_type = b""
    coded = False
    for name, value in _fields(raw):
        if name == b"transfer-encoding":
            # not tabs: llhttp takes them for a part of the coding; nor a list in two lines
            coding = value.rstrip(b" ") if coding is None else b""
            continue
        value = value.rstrip(b" \t")
        if name == b"content-length":
            length = value
        else:
            fields.append((name, value))
            if name == b"content-type":
                content_type = value
            elif name == b"content-encoding":
                coded = value not in _NO_CODING
    if coding is not None and (coding != b"chunked" or length is not None or version == "1.0"):
        raise RelayError("upstream_protocol")
    if length is not None and (not length.isdigit() or len(length) > 18):
        raise RelayError("upstream_protocol")
    size = None if length is None else int(length)
    if status in _NO_BODY:
        return ReplyHead(status, tuple(fields), 0, True, content_type, coded, raw)
    return ReplyHead(status, tuple(fields), size, coding is not None or size is not None,
                     content_type, coded, raw)


def flaw(raw: bytes) -> str:
    """A word for why what has come of an answer is none, for the operator: one of FLAWS."""
    head, end, _ = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1."):
        return "reply_not_http"
    if not end and len(head) > HEAD_BYTES_MAX:
        return "reply_head_long"
    if _FOLD.search(head) is not None:
        return "reply_field_folded"
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")]
    for name, word in _FLAWED:
        if name in names:
            return word
    return "reply_head_invalid"


def plainly(raw: bytes) -> bytes:
    """What has come of an answer in the form that llhttp takes: RFC 9110 and 9112 allow more.

    Interim answers are left out, whatever they say of lengths and connections (RFC 9112 section
    6.3), and a tab behind `chunked`, which is none of its value (RFC 9110 section 5.5).
    """
    at = 0
    while (match := _interim(raw, at)) is not None:
        at = match.end()
    end = raw.find(b"\r\n\r\n", at) + 2
    return _PADDED.sub(rb"\1 \2", raw[at:end]) + raw[end:] if end > at else raw[at:]
