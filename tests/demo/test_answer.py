"""Tests of what the demo provider decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.demo import prose
from relayd.demo.answer import (
    CHOICES_MAX, TOOLS_MAX, Tool, Wish, answer, cached_tokens, choices, new_id,
)

WISH = Wish("gpt-5.5", "hello", 10)
TOOL = Tool("get_weather", {"properties": {"city": {"type": "string"}}})
MANY = tuple(Tool(f"tool_{n}", {}) for n in range(TOOLS_MAX + 1))


def _called(wish: Wish) -> str | None:
    call = answer(wish).call
    return None if call is None else call.name


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, None),
    ({"tools": (TOOL,)}, "get_weather"),
    ({"tools": (TOOL,), "answered": True}, None),
    ({"tools": (TOOL,), "tools_off": True}, None),
    ({"tools": (TOOL,), "tools_off": True, "forced": ""}, None),
    ({"tools": MANY}, None),
    ({"tools": MANY, "forced": ""}, "tool_0"),
    ({"tools": MANY, "forced": "tool_3"}, "tool_3"),
    ({"tools": MANY, "forced": "tool_3", "answered": True}, "tool_3"),
    ({"tools": (TOOL,), "forced": "another"}, None),
])
def test_which_tool_is_called(changes: dict[str, object], expected: str | None) -> None:
    assert _called(replace(WISH, **changes)) == expected  # type: ignore[arg-type]


def test_a_call_fits_its_schema() -> None:
    call = answer(replace(WISH, tools=(TOOL,))).call
    assert call is not None
    assert (call.value, call.arguments) == ({"city": "Paris"}, '{"city":"Paris"}')


def test_a_call_without_schema_has_no_arguments() -> None:
    call = answer(replace(WISH, tools=(Tool("now", None),))).call
    assert call is not None and call.arguments == "{}"


def test_after_a_result_comes_its_text() -> None:
    found = answer(replace(WISH, tools=(TOOL,), answered=True))
    assert "".join(found.text) == prose.AFTER_TOOL


def test_structured() -> None:
    schema = {"properties": {"n": {"type": "integer"}}}
    assert "".join(answer(replace(WISH, schema=schema)).text) == '{"n":3}'
    assert "".join(answer(replace(WISH, schema={"type": "object"})).text) == "{}"


@pytest.mark.parametrize("wish", [WISH, replace(WISH, thinks=True),
                                  replace(WISH, model="demo-think")])
def test_the_limit_holds(wish: Wish) -> None:
    whole = answer(wish)
    for most in (1, 5, whole.output_tokens - 1):
        found = answer(replace(wish, output_tokens_max=most))
        assert found.cut and found.output_tokens == most
        assert (whole.reasoning + whole.text)[:most] == found.reasoning + found.text
    assert answer(replace(wish, output_tokens_max=whole.output_tokens)) == whole


def test_reasoning_is_a_part_of_the_output() -> None:
    found = answer(replace(WISH, thinks=True))
    assert found.reasoning_tokens == prose.count(prose.REASONING)
    assert found.output_tokens == found.reasoning_tokens + len(found.text)


@pytest.mark.parametrize(("wanted", "expected"), [
    (None, 1), (3, 3), (0, 1), (-1, 1), (True, 1), ("2", 1), (1_000, CHOICES_MAX)])
def test_choices(wanted: object, expected: int) -> None:
    assert len(choices(WISH, wanted)) == expected


@pytest.mark.parametrize(("tokens", "cached"), [
    (0, 0), (1023, 0), (1024, 512), (1300, 640), (100_000, 49_920)])
def test_cached(tokens: int, cached: int) -> None:
    assert cached_tokens(tokens) == cached


def test_ids_differ() -> None:
    assert len({new_id("msg_") for _ in range(100)}) == 100
