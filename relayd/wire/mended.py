"""JSON of providers that msgspec refuses, brought to what it reads: what a reply says of its usage
and of its failure is not lost, and names nobody, by one character of its text.

Law: for reading alone. What a client gets is the provider's own bytes.
"""

from __future__ import annotations

import re
from typing import Final

MENDED_BYTES_MAX: Final = 1024 * 1024
"""Longer JSON is not mended."""

_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = bytes.maketrans(bytes(range(0x20)), b" " * 0x20)
# a pair of surrogates or a lone one, with the escaped backslashes before it: only these are asked
# about, where each of half a million escapes took a quarter of a second together
_ESCAPE: Final = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2}))")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# where a value may stand, what JSON has no word for: Python writes it for a logprob that is none
_NO_NUMBER: Final = re.compile(rb"(?<=[:,\[\s])-?(?:NaN|Infinity)(?=\s*[,\]}])")


def mended(data: bytes) -> bytes:
    """Surrogates that stand alone (RFC 8259 section 8.2) and bytes that are no UTF-8 read as
    U+FFFD, control characters as blanks, `NaN` as null. A byte order mark means nothing (section
    8.1)."""
    data = data.removeprefix(_BOM)
    if len(data) > MENDED_BYTES_MAX:
        return data
    data = data.translate(_BLANK)
    if b"NaN" in data or b"Infinity" in data:
        data = _NO_NUMBER.sub(b"null", data)
    data = data.decode("utf-8", "replace").encode()
    return data if _SURROGATE.search(data) is None else _ESCAPE.sub(_known, data)


def _known(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["lone"] is None else escape[1] + b"\\ufffd"
