"""JSON with lone surrogates (`"\\ud83d"` alone), which msgspec neither reads nor writes.

RFC 8259 section 8.2 allows such escapes in JSON text; JavaScript clients that cut a string in the
middle of an emoji send them. They are read by the standard library with msgspec's strictness, and
written as escapes; everything else is written exactly as msgspec writes it.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

import msgspec

from relayd.wire.numbers import double

_ESCAPED: Final = re.compile(rb"\\u[dD][89a-fA-F]")
TOGETHER: Final = 64
"""Values that are written in one go: one by one, 500,000 small ones of 1 MB took 0.1 s."""
TRIES_MAX: Final = 8
"""How many such, each within the other, are tried: what is tried in vain is written again."""
_encode: Final = msgspec.json.Encoder().encode


def may_hold_surrogates(raw: bytes) -> bool:
    """Whether it is worth reading `raw` again here; a pair of surrogates counts too."""
    return _ESCAPED.search(raw) is not None


def _constant(name: str) -> NoReturn:
    raise ValueError("not a JSON number")


_DECODER: Final = json.JSONDecoder(parse_constant=_constant, parse_float=double)


def decode(raw: bytes) -> object:
    """As msgspec decodes, but for surrogates; raises ValueError or RecursionError."""
    return _DECODER.decode(raw.decode("utf-8"))


def encode(value: object, tries: int = TRIES_MAX) -> bytes:
    """As msgspec encodes, but a lone surrogate is written as its escape."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (dict, list)) and len(value) > TOGETHER:
        tries -= 1
        together = tries >= 0
    else:
        together = False
    parts: list[bytes] = []
    if isinstance(value, dict):
        for some in _some(list(value.items())):
            whole = _whole(dict(some)) if together else None
            parts += [b"%b:%b" % (_text(key), encode(inner, tries)) for key, inner in some
                      ] if whole is None else [whole]
        return b"{%b}" % b",".join(parts)
    if isinstance(value, list):
        for some in _some(value):
            whole = _whole(some) if together else None
            parts += [encode(inner, tries) for inner in some] if whole is None else [whole]
        return b"[%b]" % b",".join(parts)
    return _encode(value)


def _some(values: list[Any]) -> list[list[Any]]:
    return [values[at:at + TOGETHER] for at in range(0, len(values), TOGETHER)]


def _whole(values: object) -> bytes | None:
    """The text of what is in an object or a list; None where there is a lone surrogate."""
    try:
        return _encode(values)[1:-1]
    except UnicodeEncodeError:
        return None


def _text(text: str) -> bytes:
    return encode_basestring(text).encode("utf-8", "backslashreplace")
