"""What application a request says it is of: `X-Title` and `HTTP-Referer`, as OpenRouter has them.

Law: of an address only the origin is read, of a title only what is short and can be printed;
anything else says nothing. Neither field goes upstream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from relayd.core.key import APP_CHARS_MAX

TITLE, REFERER = b"x-title", b"http-referer"
_ORIGIN: Final = re.compile(
    rb"(https?)://([A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*\.?"
    rb"|\[[0-9A-Fa-f:.]{2,45}\])"
    rb"(?::([0-9]{1,5}))?(?:[/?#].*)?", re.DOTALL)
_PORTS: Final = {b"http": b"80", b"https": b"443"}


def application(fields: Mapping[bytes, bytes]) -> str | None:
    """The application's label; None where none is said that can be kept."""
    title, referer = fields.get(TITLE), fields.get(REFERER)
    found = None if title is None else _title(title)
    return found or (None if referer is None else _origin(referer))


def _title(raw: bytes) -> str | None:
    try:
        text = " ".join(raw.decode("utf-8").split())
    except UnicodeDecodeError:
        return None
    return text if 0 < len(text) <= APP_CHARS_MAX and text.isprintable() else None


def _origin(raw: bytes) -> str | None:
    match = _ORIGIN.fullmatch(raw)
    if match is None:
        return None
    scheme, host, port = match[1], match[2].lower(), match[3]
    own = b"" if port is None or port == _PORTS[scheme] else b":" + port
    origin = (scheme + b"://" + host + own).decode("ascii")
    return origin if len(origin) <= APP_CHARS_MAX else None
