"""Tool definitions as a TypeScript namespace."""

from __future__ import annotations

import time

import pytest

from relayd.relay.prompt_tools import DEPTH_MAX, answer_form, namespace


def test_a_function_with_all_kinds_of_parameters() -> None:
    parameters = {
        "type": "object",
        "required": ["a", "e"],
        "properties": {
            "a": {"type": "string", "description": "first"},
            "b": {"type": "integer"},
            "c": {"type": "string", "enum": ["x", "y"]},
            "d": {"type": "array", "items": {"type": "number"}},
            "e": {"type": "object", "properties": {
                "f": {"type": ["string", "null"], "description": "inner"}}},
            "g": {"anyOf": [{"type": "boolean"}, {"type": "array"}]},
            "h": {"$ref": "#/$defs/h"},
        },
    }
    assert namespace([{"name": "f", "description": "Does it.", "parameters": parameters}]) == """\
namespace functions {

// Does it.
type f = (_: {
// first
a: string,
b?: number,
c?: "x" | "y",
d?: number[],
e: {
// inner
f?: string | null,
},
g?: boolean | any[],
h?: any,
}) => any;

} // namespace functions"""


@pytest.mark.parametrize("parameters", [None, {}, {"properties": {}}, {"properties": []}, 5, []])
def test_a_function_without_parameters(parameters: object) -> None:
    rendered = namespace([{"name": "f", "parameters": parameters}])
    assert rendered == "namespace functions {\n\ntype f = () => any;\n\n} // namespace functions"


@pytest.mark.parametrize("schema", [
    {"properties": 5}, {"properties": {"a": 5}}, {"properties": {"a": {"type": 5}}},
    {"properties": {"a": {"enum": {}}}}, {"properties": {"a": {"type": [5]}}, "required": 5},
    {"properties": {"a": {"anyOf": [None]}}}, {"properties": {"a": {"items": 5, "type": "array"}}},
])
def test_a_broken_schema_is_rendered_somehow(schema: object) -> None:
    assert "type f" in namespace([{"name": "f", "description": 5, "parameters": schema}])


@pytest.mark.parametrize("wrap", [
    lambda inner: {"type": "object", "properties": {"p": inner}},
    lambda inner: {"type": "array", "items": inner},
    lambda inner: {"anyOf": [inner]},
    lambda inner: {"oneOf": [inner], "type": "object"},
])
def test_nesting_is_bounded(wrap: object) -> None:
    schema: object = {"type": "string"}
    for _ in range(2000):
        schema = wrap(schema)  # type: ignore[operator]
    rendered = namespace([{"name": "f", "parameters": {"properties": {"p": schema}}}])
    assert "any" in rendered and rendered.count("\n") < 5 * DEPTH_MAX + 20


def test_time_is_linear_in_what_a_schema_says() -> None:
    schema: object = {"type": "string"}
    for _ in range(DEPTH_MAX - 2):
        schema = {"type": ["array"] * 50, "items": schema}
    many = {f"name{n}": {"type": "string"} for n in range(20_000)}
    parameters = {"properties": {**many, "deep": schema}, "required": list(many)}
    begun = time.process_time()
    rendered = namespace([{"name": "f", "parameters": parameters}])
    assert time.process_time() - begun < 1
    assert "name19999: string,\ndeep?: string" + "[]" * (DEPTH_MAX - 2) in rendered


def test_the_form_of_an_answer() -> None:
    schema = {"type": "object", "additionalProperties": False, "required": ["é"], "properties": {
        "é": {"type": "string", "description": "name"},
        "required": {"type": "object", "additionalProperties": {"type": "integer"}}}}
    assert answer_form({"name": "Book", "description": "A book", "schema": schema}) == """\
# Response Formats

## Book

// A book
{"type":"object","properties":{"é":{"type":"string","description":"name"},\
"required":{"type":"object","additionalProperties":{"type":"integer"}}}}"""
    assert answer_form({"name": "f", "schema": {}}) == "# Response Formats\n\n## f\n\n{}"


def test_a_form_deep_within_itself_is_cut_off() -> None:
    schema: dict[str, object] = {}
    for _ in range(5000):
        schema = {"items": [schema]}
    assert answer_form({"name": "f", "schema": schema}).count("items") == DEPTH_MAX // 2
