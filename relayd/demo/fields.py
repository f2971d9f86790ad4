"""Reading a request that may hold anything: a field of the wrong kind counts as absent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def both(*names: str) -> tuple[str, ...]:
    """Names in camelCase, each with its snake_case form: Gemini's SDKs mix the two."""
    return tuple(form for name in names for form in (name, _HUMP.sub("_", name).lower()))


def limit_of(body: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that holds a positive number."""
    for name in names:
        value = body.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def dict_of(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The first of these fields that holds an object, else an empty one."""
    return next((v for n in names if isinstance(v := body.get(n), dict)), {})


def dicts_of(body: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    """The objects in the first of these fields that holds a list."""
    found = next((v for n in names if isinstance(v := body.get(n), list)), [])
    return [item for item in found if isinstance(item, dict)]


def text_of(content: Any) -> str:
    """The text of a message's content, whichever of its forms it has."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return " ".join(p["text"] for p in parts
                    if isinstance(p, dict) and isinstance(p.get("text"), str))
