"""Texts: both languages, or the code is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from string import Formatter

import pytest

from relayd.console import texts
from relayd.core.account import LANGUAGES, Language
from relayd.core.audit import ACTIONS

CALL = re.compile(r"""\bt\(\s*['"]([a-z0-9_.]+)['"]\s*[,)]""")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def is_whole(found: Mapping[str, str]) -> bool:
    """Whether a text is there in both languages, with the same fields; short ones may be names."""
    return (set(found) == set(LANGUAGES) and all(text.strip() for text in found.values())
            and fields(found["en"]) == fields(found["zh"])
            and (len(found["en"]) <= 25 or re.search(r"[\u4e00-\u9fff]", found["zh"]) is not None))


def test_both_languages_say_it_with_the_same_fields() -> None:
    assert [name for name, found in texts.texts().items() if not is_whole(found)] == []


COUNTED = re.compile(r"\{(?:count|hours|input|output|suppressed)\} (?!input tokens)[a-z]+s\b")


def test_what_is_counted_may_be_one() -> None:
    assert [name for name, found in texts.texts().items() if COUNTED.search(found["en"])] == []


def test_every_action_of_the_audit_log_is_said_as_the_log_means_it() -> None:
    said = {name.partition(".")[2]: found["en"] for name, found in texts.texts().items()
            if name.startswith("actions.")}
    assert said == {name: row.meaning for name, row in ACTIONS.items()}


def test_every_text_that_a_template_names_is_there() -> None:
    folder = resources.files("relayd.console") / "templates"
    missing = [
        (path.name, name) for path in sorted(folder.rglob("*.html"))  # type: ignore[attr-defined]
        for name in CALL.findall(path.read_text("utf-8")) if name not in texts.texts()]
    assert missing == []


@pytest.mark.parametrize("header, language", [
    ("", "en"), ("zh", "zh"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en;q=0.3, zh;q=0.9", "zh"),
    ("de-DE,de;q=0.9", "en"), ("de, zh;q=0.1", "zh"), ("zh;q=0", "en"), ("zh;q=x", "en"),
    ("*", "en"), ("ZH-hans", "zh"), (";;;,,=", "en"),
])
def test_the_browsers_language_is_taken_where_it_is_spoken(
    header: str, language: Language,
) -> None:
    assert texts.preferred(header) == language


def test_a_name_that_nobody_wrote_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        texts.text("en", "base.nothing_of_the_kind")


@pytest.mark.parametrize("table", [
    {"a": {"en": "x"}}, {"a": {"en": "x", "zh": 3}}, {"a": "x"}, {"a": {"b": {"zh": "y"}}},
])
def test_a_file_with_one_language_is_refused(table: dict[str, object]) -> None:
    with pytest.raises((AssertionError, AttributeError)):
        texts._flat("area", table)
