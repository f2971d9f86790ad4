"""The texts of the documents, made of templates, the data inventory and the configuration.

Law: a text says what is so. What the policy lists as kept is what the inventory lists, with the
terms in force; who runs the service and who helps is what the operator declared. No date and no
number of a version is in a text: two drafts of the same facts are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import jinja2

from relayd.control import inventory
from relayd.control.inventory import Told
from relayd.core.account import LANGUAGES, Language
from relayd.core.document import DOCUMENT_NAMES, tidied
from relayd.core.operator import Operator, Processor
from relayd.core.retention import Terms
from relayd.ops.config import Config, PrivacyConfig
from relayd.ops.configfile_address import is_loopback

_COMMA: Final[Mapping[str, str]] = {"en": ", ", "zh": "、"}
_PLAIN_FORMS: Final = ("id", "closed", "public")
"""Forms of the inventory that say nothing to people: random identifiers, fixed words, numbers."""
_SEMICOLON: Final[Mapping[str, str]] = {"en": "; ", "zh": "；"}


@dataclass(frozen=True, slots=True)
class CookieWords:
    """A cookie as the page tells of it, in one language."""

    name: str
    purpose: str
    life: str
    scripts: str


Cookies = Mapping[Language, Sequence[CookieWords]]
Drafts = Mapping[str, Mapping[Language, str]]
"""Texts by document and language."""


@cache
def _templates() -> jinja2.Environment:
    """Plain text: what reaches a page is escaped there."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("relayd.control", "document_texts"), autoescape=False,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_plain, auto_reload=False)


def _plain(value: object) -> object:
    """Values cannot make a table's cell, a line or a link of their own."""
    if isinstance(value, str):
        return " ".join(value.split()).replace("|", "/").replace("[", "(").replace("]", ")")
    return value


@dataclass(frozen=True, slots=True)
class Facts:
    """All that texts are made of: equal facts, equal texts."""

    operator: Operator
    terms: tuple[tuple[str, int], ...]
    age: int
    end_user: bool
    cache_key: bool
    passes: bool
    betas: bool
    clear: bool
    cookies: tuple[tuple[Language, tuple[CookieWords, ...]], ...]


def drafts(config: Config, cookies: Cookies) -> Drafts:
    """Every document as it would be published now."""
    return _drafts(Facts(
        operator=config.operator, terms=tuple(sorted(config.retention.terms().chosen.items())),
        age=config.console.minimum_age, end_user=config.privacy.end_user != "absent",
        cache_key=config.privacy.cache_key == "hashed", passes=_passes(config.privacy),
        betas=config.privacy.product_betas == "pass",
        clear=any(each.address.scheme == "http" and not is_loopback(each.address.host)
                  for each in config.providers.values()),
        cookies=tuple((language, tuple(rows)) for language, rows in sorted(cookies.items()))))


def _passes(privacy: PrivacyConfig) -> bool:
    """Whether fields that no table knows go to providers."""
    return privacy.unknown_fields == "pass" or any(privacy.pass_fields.values())


@lru_cache(maxsize=4)
def _drafts(facts: Facts) -> Drafts:
    found: dict[str, dict[Language, str]] = {name: {} for name in DOCUMENT_NAMES}
    for language in LANGUAGES:
        values = _values(facts, language)
        for name in DOCUMENT_NAMES:
            text = _templates().get_template(f"{name}.{language}.md").render(values)
            found[name][language] = tidied(text)
    return found


def _values(facts: Facts, language: Language) -> dict[str, Any]:
    operator = facts.operator
    kept = inventory.read()
    told = inventory.told(kept, Terms(dict(facts.terms)), language)
    plain = frozenset(kept.forms[name][language] for name in _PLAIN_FORMS)
    return {
        "service": operator.service, "uscc": operator.uscc, "icp": operator.icp,
        **{name: operator.said(name, language) for name in ("name", "address", "law", "court")},
        "contact": operator.contact, "privacy": operator.contact_for("privacy"),
        "age": facts.age, "rows": [_row(each, plain, language) for each in told],
        "cookies": dict(facts.cookies)[language],
        "processors": [_processor(each, language) for each in operator.processors],
        "hosting": operator.hosting if operator.hosting.provider else None,
        "end_user": facts.end_user, "cache_key": facts.cache_key, "passes": facts.passes,
        "betas": facts.betas, "clear": facts.clear,
    }


def _row(told: Told, plain: frozenset[str], language: Language) -> dict[str, str]:
    comma, semicolon = _COMMA[language], _SEMICOLON[language]
    where = comma.join(told.places)
    how = semicolon.join(form for form in told.forms if form not in plain)
    nobody = {"en": "nobody", "zh": "无人"}[language]
    nowhere = {"en": "nowhere", "zh": "不保存"}[language]
    return {
        "name": told.name, "data": told.data, "purpose": told.purpose, "term": told.term,
        "kept": semicolon.join(filter(None, (where, how))) or nowhere,
        "readers": comma.join(told.readers) or nobody,
    }


def _processor(processor: Processor, language: Language) -> dict[str, str]:
    return {"name": processor.name, "purpose": processor.purpose, "region": processor.region,
            "fields": _COMMA[language].join(processor.fields), "since": processor.since}
