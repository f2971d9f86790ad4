"""Spellings that protobuf's JSON form holds for the same, brought to one.

A name may be written in snake_case as well, octets in base64url, and UTC as `+00:00`
(protobuf.dev, "ProtoJSON Format"). Google's SDK for Python does all three, those for other
languages none: what is left as it came names the SDK.
"""

from __future__ import annotations

import re
from typing import Final

from relayd.wire.fields import number
from relayd.wire.walk import Walk

_PARTS: Final = (dict, list, float)
_WORDS: Final = frozenset({
    "skip_thought_signature_validator", "context_engineering_is_the_way_to_go",
})
"""What stands for the signature of a call that Gemini did not make (ai.google.dev, "Thought
signatures"): Gemini CLI writes one of them. Also base64url, but nobody means octets."""
_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_HUMP: Final = re.compile(r"_([a-z0-9])")

_UTC: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:(\.[0-9]{0,8}[1-9])0{0,8}|\.0{1,9})?(?:Z|[+-]00:00)")


def lower_camel(name: str) -> str:
    """The lowerCamelCase of a name in snake_case; any other name as it is."""
    if "_" not in name or not _SNAKE.fullmatch(name):
        return name
    return _HUMP.sub(_raised, name)


def _raised(hump: re.Match[str]) -> str:
    return hump[1].upper()


def spelled(value: object, walk: Walk) -> object:
    """Any structure of messages alone, no maps: members in lowerCamelCase, sorted by name; whole
    numbers as integers.

    Of two spellings of one name lowerCamelCase counts.
    """
    if type(value) is float:
        return number(value, walk)
    if type(value) is dict:
        for key, inner in value.items():
            if type(inner) in _PARTS:
                value[key] = spelled(inner, walk)
        keys = list(value)
        names = {lower_camel(key): key for key in keys}
        ordered = sorted(names)
        if keys == ordered:
            return value
        return {name: value[name if name in value else names[name]] for name in ordered}
    if type(value) is list:
        for index, inner in enumerate(value):
            if type(inner) in _PARTS:
                value[index] = spelled(inner, walk)
    return value


def octets(value: object, walk: Walk) -> object:
    """Octets in base64url are written in base64; what is in neither stays as it is."""
    if type(value) is not str or ("-" not in value and "_" not in value):
        return value
    if "+" in value or "/" in value or value in _WORDS:
        return value
    return value.replace("-", "+").replace("_", "/")


def utc(value: object, walk: Walk) -> object:
    """A time in UTC is written with `Z`, and without zeros that say nothing; any other stays."""
    found = _UTC.fullmatch(value) if type(value) is str else None
    return value if found is None else f"{found[1]}{found[2] or ''}Z"
