"""JSON with lone surrogates (`"\\ud83d"` alone), which msgspec neither reads nor writes.

RFC 8259 section 8.2 allows such escapes in JSON text; JavaScript clients that cut a string in the
middle of an emoji send them. They are read by the standard library with msgspec's strictness, and
written as escapes; everything else is written exactly as msgspec writes it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

import msgspec

_ESCAPED: Final = re.compile(rb"\\u[dD][89a-fA-F]")
TOGETHER: Final = 64
"""Values that are written in one go: one by one, 500,000 small ones of 1 MB took 0.1 s."""
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
        return b"{%b}" % b",".join(_parts(list(value.items()), dict, _member))
    if isinstance(value, list):
        return b"[%b]" % b",".join(_parts(value, list, encode))
    return _encode(value)


def _parts(
    values: list[Any], kind: Callable[[list[Any]], object], each: Callable[[Any], bytes]
) -> Iterator[bytes]:
    """The texts of what a list or an object holds, so many at once as have no surrogate."""
    for at in range(0, len(values), TOGETHER):
        some = values[at:at + TOGETHER]
        if len(values) > TOGETHER:
            try:
                yield _encode(kind(some))[1:-1]
                continue
            except UnicodeEncodeError:
                pass
        yield from map(each, some)


def _member(item: tuple[str, object]) -> bytes:
    return b"%b:%b" % (_text(item[0]), encode(item[1]))


def _text(text: str) -> bytes:
    return encode_basestring(text).encode("utf-8", "backslashreplace")
