"""JSON Schema objects: keywords in a fixed order, values and member order kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.schema import KEYWORDS, schema
from relayd.wire.walk import BodyPolicy, Walk


def written(value: object) -> str:
    return json.dumps(schema(json.loads(json.dumps(value)), Walk(BodyPolicy())))


@pytest.mark.parametrize(("given_", "wanted"), [
    ({"properties": {"b": {}, "a": {}}, "type": "object"},
     {"type": "object", "properties": {"b": {}, "a": {}}}),
    ({"properties": {"x": {"enum": ["b", "a"], "type": "string"}}},
     {"properties": {"x": {"type": "string", "enum": ["b", "a"]}}}),
    ({"minimum": 0.0, "default": 1.0, "multipleOf": 0.5},
     {"default": 1.0, "minimum": 0, "multipleOf": 0.5}),
    ({"default": {"z": 1, "a": 2}, "const": {"y": 1, "b": 2}},
     {"const": {"y": 1, "b": 2}, "default": {"z": 1, "a": 2}}),
    ({"x-b": {"z": 1, "a": 2}, "x-a": 1, "type": "string"},
     {"type": "string", "x-a": 1, "x-b": {"a": 2, "z": 1}}),
    ({"anyOf": [{"title": "A", "type": "string"}, True]},
     {"anyOf": [{"type": "string", "title": "A"}, True]}),
    ({"properties": {"type": {"title": "T", "type": "string"}, "properties": {}}},
     {"properties": {"type": {"type": "string", "title": "T"}, "properties": {}}}),
    ({"additionalProperties": {"title": "T", "type": "string"}},
     {"additionalProperties": {"type": "string", "title": "T"}}),
    ({"$defs": {"N": {"title": "T", "$ref": "#"}}}, {"$defs": {"N": {"$ref": "#", "title": "T"}}}),
    (True, True),
])
def test_keywords_are_ordered(given_: object, wanted: object) -> None:
    assert written(given_) == json.dumps(wanted)


LEAVES = st.one_of(st.text(max_size=4), st.integers(), st.booleans(), st.none())
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(st.sampled_from(["type", "title", "enum", "default", "x"]), LEAVES),
    lambda inner: st.dictionaries(
        st.sampled_from(["properties", "$defs", "items", "anyOf", "type"]),
        st.one_of(st.dictionaries(st.text(max_size=3), inner), st.lists(inner), inner)),
)


@given(SCHEMAS)
def test_the_value_is_kept_and_a_second_pass_changes_nothing(value: Any) -> None:
    once = written(value)
    assert json.loads(once) == value
    assert written(json.loads(once)) == once


def test_no_keyword_is_there_twice() -> None:
    assert len(KEYWORDS) == len(set(KEYWORDS))
