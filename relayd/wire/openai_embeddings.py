"""The fields of POST /v1/embeddings (type definitions of openai-python 3.57)."""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Table, by_name, number
from relayd.wire.openai_tools import END_USER, end_user
from relayd.wire.walk import Walk

_OBJECT: Final = frozenset({dict})


def _inputs(value: object, walk: Walk) -> object:
    """Texts and tokens as they are; of pictures and other objects, which Jina and OpenRouter take,
    the members by name."""
    if type(value) is list and value and type(value[0]) in (str, dict):
        return value if _OBJECT.isdisjoint(map(type, value)) else by_name(value, walk)
    return by_name(value, walk) if type(value) is dict else value


TABLE: Final = Table({
    "model": None,
    "input": _inputs,
    "dimensions": number,
    "encoding_format": None,
    "user": END_USER["user"],
}, end_user)
