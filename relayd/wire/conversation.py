"""What a conversation begins with: the texts that stay the same from turn to turn.

For a keyed hash in memory alone (relay/sticky.py). Marks that clients move from turn to turn, such
as `cache_control`, are no texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from relayd.wire.spliced import Spliced, one_by_one

TEXT_BYTES_MAX: Final = 64 * 1024
"""Of each of the two parts; what follows changes nothing."""
_PARTS_MAX: Final = 1024
_DEPTH_MAX: Final = 4
"""How many parts are read, and how deep within each other; the others say nothing."""
_SYSTEM: Final = ("system", "instructions", "systemInstruction")
_LISTS: Final = ("messages", "input", "contents")
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})


def beginning(fields: Mapping[str, object]) -> bytes:
    """The system's text and the first message of the user, of a body in any dialect.

    Empty where there is neither, as in a request that is no conversation.
    """
    system = [_text(fields[name]) for name in _SYSTEM if name in fields]
    first = b""
    for item in _messages(fields):
        role = item.get("role") if isinstance(item, dict) else None
        if type(role) is not str or role not in _SYSTEM_ROLES:
            first = _text(item)
            break
        system.append(_text(item))
    head = b"\0".join(system)[:TEXT_BYTES_MAX]
    return head + b"\1" + first if head or first else b""


def _messages(fields: Mapping[str, object]) -> Iterator[object]:
    for name in _LISTS:
        value = fields.get(name)
        for item in islice(one_by_one(value if isinstance(value, list) else [value]), _PARTS_MAX):
            read = item.value() if isinstance(item, Spliced) else item
            if read is not None:
                yield read


def _text(value: object) -> bytes:
    text = "".join(_texts(value, 0))[:TEXT_BYTES_MAX]
    return text.encode("utf-8", "surrogatepass")[:TEXT_BYTES_MAX]


def _texts(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, Spliced):
        value = value.value()
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < _DEPTH_MAX:
        for item in islice(one_by_one(value), _PARTS_MAX):
            yield from _texts(item, depth + 1)
    elif isinstance(value, dict) and depth < _DEPTH_MAX:
        for name in ("text", "content", "parts"):
            if name in value:
                yield from _texts(value[name], depth + 1)
