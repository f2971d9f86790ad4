"""Tests of reading requests that may hold anything."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.demo.fields import both, dict_of, dicts_of, limit_of, text_of


def test_both_spellings() -> None:
    assert both("functionCallingConfig", "tools") == (
        "functionCallingConfig", "function_calling_config", "tools", "tools")


@pytest.mark.parametrize(("value", "expected"), [
    (5, 5), (0, None), (-1, None), (True, None), ("5", None), (5.0, None), (None, None)])
def test_limit(value: Any, expected: int | None) -> None:
    assert limit_of({"a": value}, "a") == expected


def test_limit_takes_the_first_usable() -> None:
    assert limit_of({"a": None, "b": 7}, "a", "b") == 7
    assert limit_of({}, "a") is None


@pytest.mark.parametrize("value", [None, 1, "x", True])
def test_wrong_kinds_count_as_absent(value: Any) -> None:
    assert dict_of({"a": value}, "a") == {}
    assert dicts_of({"a": value}, "a") == []
    assert dicts_of({"a": [value, {"b": 1}]}, "a") == [{"b": 1}]


@pytest.mark.parametrize(("content", "expected"), [
    ("plain", "plain"),
    ([{"type": "text", "text": "one"}, {"type": "image"}, {"text": "two"}], "one two"),
    ({"text": "single"}, "single"),
    (None, ""), (7, ""), ([7, "x", {"text": 7}], ""),
])
def test_text(content: Any, expected: str) -> None:
    assert text_of(content) == expected
