"""Tests of the values that fit a schema."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.demo.sample import value_for

RECURSIVE = {
    "$ref": "#/$defs/Node",
    "$defs": {"Node": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}},
}


@pytest.mark.parametrize(("schema", "expected"), [
    ({"type": "string"}, "relay"),
    ({"type": "STRING"}, "relay"),
    ({"type": "integer"}, 3),
    ({"type": "integer", "minimum": 10}, 10),
    ({"type": "number", "maximum": 0.5}, 0.5),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["null", "integer"]}, 3),
    ({"type": ["null"]}, None),
    ({"enum": ["b", "a"]}, "b"),
    ({"const": 7}, 7),
    ({"default": "as told"}, "as told"),
    ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 3),
    ({"allOf": [{"type": "boolean"}]}, True),
    ({"type": "string", "format": "date"}, "2026-01-02"),
    ({"type": "string", "maxLength": 2}, "re"),
    ({"type": "string", "minLength": 7}, "relay.."),
    ({"type": "array", "items": {"type": "integer"}}, [3]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [3, 3]),
    ({"properties": {"city_name": {"type": "string"}}}, {"city_name": "Paris"}),
    ({"type": "object"}, {}),
    ({}, "relay"),
    (None, "relay"),
    ("not a schema", "relay"),
])
def test_values(schema: Any, expected: Any) -> None:
    assert value_for(schema) == expected


def test_optional_properties_are_filled_near_the_top() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": []}
    assert value_for(schema) == {"a": 3}


def test_recursion_ends() -> None:
    value = value_for(RECURSIVE)
    depth = 0
    while value.get("children"):
        assert value["name"] == "relay"
        value = value["children"][0]
        depth += 1
    assert 0 < depth < 12


def test_a_reference_to_itself_ends() -> None:
    assert value_for({"$ref": "#"}) == "relay"


def test_a_lost_reference_is_an_unknown_schema() -> None:
    assert value_for({"$ref": "#/$defs/Nobody", "$defs": {}}) == "relay"
