"""What people paste to point a client here, with their own address, key and model in it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final, Literal, NamedTuple

import msgspec

from relayd.core.provider import Api, Provider
from relayd.core.route import Route

FILE: Final = "snippets.toml"
KEY_SHOWN: Final = "sk-relayd-..."
"""Stands for a key where none is at hand: its text is shown once, when it is made."""
MODEL_SHOWN: Final = "MODEL"
"""Stands for a model where every route is a pattern."""

_FAMILIES: Final[dict[Api, str]] = {"openai": "gpt", "anthropic": "claude", "gemini": "gemini"}


class Snippet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One client, and the text that points it here."""

    id: str
    name: str
    kind: Literal["sdk", "agent"]
    api: Api
    text: str


class Place(NamedTuple):
    """What stands in the texts: the relay's origin, a key, and a model for each API."""

    origin: str
    key: str
    models: Mapping[Api, str]


@cache
def read() -> tuple[Snippet, ...]:
    """All snippets of the package's file."""
    text = resources.files("relayd.console").joinpath(FILE).read_text("utf-8")
    found = msgspec.convert(tomllib.loads(text), dict[str, tuple[Snippet, ...]])["clients"]
    return tuple(msgspec.structs.replace(each, text=each.text.strip("\n")) for each in found)


def filled(snippet: Snippet, place: Place) -> str:
    """The snippet's text for this place."""
    return (snippet.text.replace("@ORIGIN@", place.origin).replace("@KEY@", place.key)
            .replace("@MODEL@", place.models.get(snippet.api, MODEL_SHOWN)))


def models_to_try(
    routes: Sequence[Route], providers: Mapping[str, Provider]
) -> dict[Api, str]:
    """A model for each API: a name of its maker's, else the first that a provider of it serves."""
    found: dict[Api, str] = {}
    for api, family in _FAMILIES.items():
        names = [route.pattern for route in routes if not route.is_pattern and any(
            providers[place.provider].dialect == api for place in route.deployments)]
        usual = [name for name in names if name.startswith(family)]
        if names:
            found[api] = (usual or names)[0]
    return found
