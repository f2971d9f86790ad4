"""JSON with lone surrogates (`"\\ud83d"` alone), which msgspec neither reads nor writes.

RFC 8259 section 8.2 allows such escapes in JSON text; JavaScript clients that cut a string in the
middle of an emoji send them. They are read by the standard library with msgspec's strictness, and
written as escapes; everything else is written exactly as msgspec writes it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

import msgspec

_ESCAPED: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("([\ud800-\udfff])")
_encode: Final = msgspec.json.Encoder().encode


def may_hold_surrogates(raw: bytes) -> bool:
    """Whether it is worth reading `raw` again here; a pair of surrogates counts too."""
    return _ESCAPED.search(raw) is not None


def _constant(name: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _double(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("out of range")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_constant, parse_float=_double)


def decode(raw: bytes) -> object:
    """As msgspec decodes, but for surrogates; raises ValueError or RecursionError."""
    return _DECODER.decode(raw.decode("utf-8"))


def encode(value: object) -> bytes:
    """As msgspec encodes, but a lone surrogate is written as its escape."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return b"{%b}" % b",".join(
            [b"%b:%b" % (_text(key), encode(inner)) for key, inner in value.items()])
    if isinstance(value, list):
        return b"[%b]" % b",".join([encode(inner) for inner in value])
    return _encode(value)


def _text(text: str) -> bytes:
    pieces = _LONE.split(text)
    return b'"%b"' % b"".join([
        b"\\u%04x" % ord(piece) if index % 2 else _encode(piece)[1:-1]
        for index, piece in enumerate(pieces)
    ])
