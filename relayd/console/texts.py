"""What the pages say, in both languages: one TOML file per area, `name = { en = "", zh = "" }`.

Law: no text without both languages; a name that no file has is a mistake of the code, not an
empty place on a page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from relayd.core.account import LANGUAGES, Language

DEFAULT: Final[Language] = "en"


def _flat(area: str, table: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in table.items():
        if set(value) == set(LANGUAGES) and all(isinstance(text, str) for text in value.values()):
            found[f"{area}.{name}"] = dict(value)
        elif all(isinstance(inner, dict) for inner in value.values()):
            found.update(_flat(f"{area}.{name}", value))
        else:
            raise AssertionError(f"{area}.{name} needs both languages")
    return found


@cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Every text by its name `area.name`, then by language."""
    found: dict[str, Mapping[str, str]] = {}
    for file in (resources.files("relayd.console") / "texts").iterdir():
        if file.name.endswith(".toml"):
            table = tomllib.loads(file.read_text("utf-8"))
            found.update(_flat(file.name.removesuffix(".toml"), table))
    return found


def text(language: Language, name: str, /, **values: object) -> str:
    """One text, with its {names} filled in."""
    found = texts()[name][language]
    return found.format(**values) if values else found


def preferred(header: str) -> Language:
    """The language of an Accept-Language field (RFC 9110 section 12.5.4) that we speak."""
    best, weight = DEFAULT, 0.0
    for item in header[:500].split(","):
        tag, _, parameter = item.strip().partition(";")
        asked = _weight(parameter)
        spoken = tag.strip().lower().split("-")[0]
        if asked > weight and spoken in LANGUAGES:
            best, weight = spoken, asked
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
