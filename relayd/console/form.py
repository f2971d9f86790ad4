"""Input: forms, JSON bodies and queries become the Struct that their route declares.

Law: a field that the Struct does not have is refused, and so is whatever looks like a payment
card's number, wherever it stands: neither is needed here. Errors name a field, never its value.
No input takes longer than its length: what would is refused before anything compares it.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from relayd.console.visit import CSRF_FIELD
from relayd.core.errors import RelayError
from relayd.core.luhn import ONE_PLANE, card_field

BODY_BYTES_MAX: Final = 64 * 1024
BODY_SECONDS: Final = 30.0
"""A body must be whole by then."""
MARKS_MAX: Final = 30
"""Combining marks in a row (UAX #15, stream-safe text): the time that Unicode's normal forms take
to put them in order grows with their square."""
COMPANY: Final = frozenset({"bank_account", "file"})
"""Fields that hold a company's own account, which may look like a card's number: a profile's, and
an issued fapiao, whose every field is compared with what was applied for."""
_PATH: Final = re.compile(r"at `\$\.([a-zA-Z0-9_]{1,40})")
_FIELD: Final = re.compile(r"(?:field|unknown field) `([a-zA-Z0-9_]{1,40})`")


async def body(request: web.Request) -> bytes:
    """The whole body. Raises `body_too_large`, `request_timeout`."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RelayError("body_too_large") from None
    except TimeoutError:
        raise RelayError("request_timeout") from None


def from_form(kind: type, fields: Iterable[tuple[str, str | bytes]]) -> Any:
    """A form's fields as `kind`: empty ones count as absent, a checked box as true. Files are
    bytes (console/upload.py)."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in fields:
        if name == CSRF_FIELD:
            continue
        wanted = hints.get(name)
        if _is_list(wanted):
            values.setdefault(name, []).append(value)
        elif name in values:
            raise RelayError("invalid_form", param=name if wanted else None)
        elif value != "" or wanted is None:
            values[name] = True if wanted is bool and value == "on" else value
    return _convert(kind, values)


def from_json(kind: type, body: bytes) -> Any:
    """A JSON body as `kind`."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RelayError("invalid_json") from None
    if not isinstance(found, dict):
        raise RelayError("invalid_json")
    return _convert(kind, found, strict=True)


def _is_list(wanted: object) -> bool:
    options = (wanted, *get_args(wanted))
    return any(get_origin(option) in (list, tuple) for option in options)


def _convert(kind: type, values: Mapping[str, Any], *, strict: bool = False) -> Any:
    for name, value in values.items():
        for inner, text in _texts(name, value):
            code = _unfit(inner, text)
            if code is not None:
                raise RelayError(code, param=name if name in get_type_hints(kind) else None)
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise RelayError("invalid_form", param=_culprit(str(error), kind)) from None


def _culprit(message: str, kind: type) -> str | None:
    """The field at fault, if it is one of ours: a name that the client made up is not told."""
    found = _PATH.search(message) or _FIELD.search(message)
    return found[1] if found and found[1] in get_type_hints(kind) else None


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text and number in a field, however deep, with the name that it stands under."""
    left = [(name, value)]
    while left:
        name, value = left.pop()
        if isinstance(value, Mapping):
            left += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(name, inner) for inner in value]
        elif isinstance(value, str | int) and not isinstance(value, bool):
            yield name, str(value)


def _unfit(name: str, text: str) -> str | None:
    """The error of what is taken in no field, or None."""
    if _is_heaped(name) or _is_heaped(text):
        return "invalid_form"
    return None if card_field({name: text}, COMPANY) is None else "card_number"


class _Marks(dict[int, str]):
    """What characters are made of, as `str.translate` takes it: a dash for each combining mark, a
    dot for all else. A text is gone through without a call for each of its characters."""

    def __missing__(self, point: int) -> str:
        parts = unicodedata.normalize("NFKD", chr(point))
        found = "".join("-" if unicodedata.combining(part) else "." for part in parts)
        found = re.sub(r"\.+", ".", found)  # many say no more than one
        if point < ONE_PLANE:
            self[point] = found
        return found


_MARKS: Final = _Marks()
_HEAP: Final = "-" * (MARKS_MAX + 1)


def _is_heaped(text: str) -> bool:
    """Whether more than MARKS_MAX combining marks stand in a row."""
    return not text.isascii() and _HEAP in text.translate(_MARKS)
