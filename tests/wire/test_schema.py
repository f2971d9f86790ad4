"""JSON Schema objects: keywords in a fixed order, values and member order kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_specifications import REGISTRY

from relayd.wire.schema import KEYWORDS, schema, typed_schema
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


INNER, SORTED = {"title": "T", "type": "string"}, {"type": "string", "title": "T"}
SCHEMAS_IN = ("contains propertyNames not if then else unevaluatedItems unevaluatedProperties"
              " additionalProperties additional_properties items prefixItems anyOf any_of oneOf"
              " allOf").split()
LISTS_IN = "items prefixItems anyOf any_of oneOf allOf".split()
NAMED_IN = ("properties patternProperties dependentSchemas dependencies $defs definitions"
            " defs").split()
KEPT = "const default enum example examples".split()
NUMBERS = ("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength"
           " minItems maxItems minContains maxContains minProperties maxProperties").split()


@pytest.mark.parametrize("name", KEYWORDS)
def test_what_each_keyword_has_in_it(name: str) -> None:
    if name in NAMED_IN:  # names are content: they keep their order
        assert written({name: {"z": INNER, "a": True}}) == json.dumps(
            {name: {"z": SORTED, "a": True}})
    elif name in LISTS_IN:
        assert written({name: [INNER, True]}) == json.dumps({name: [SORTED, True]})
    elif name in SCHEMAS_IN:
        assert written({name: INNER}) == json.dumps({name: SORTED})
    elif name in NUMBERS:
        assert written({name: 2.0}) == json.dumps({name: 2})
    else:
        for value in ({"z": 1, "a": 2.0}, [INNER], 2.0, "x"):
            assert written({name: value}) == json.dumps({name: value})


@pytest.mark.parametrize("word", [
    "core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation",
    "content",
])
def test_every_keyword_of_the_standard_is_known(word: str) -> None:
    """Those of references and dialects, which no provider takes, but for the usual ones."""
    found = REGISTRY[f"https://json-schema.org/draft/2020-12/meta/{word}"].contents["properties"]
    assert set(found) - set(KEYWORDS) <= {
        "$vocabulary", "$dynamicRef", "$dynamicAnchor", "contentSchema"}


def test_the_types_of_gemini_are_an_enumeration_and_its_counts_may_be_texts() -> None:
    def typed(value: object) -> object:
        return typed_schema(json.loads(json.dumps(value)), Walk(BodyPolicy()))

    words = "TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT".split()
    for number, word in enumerate(words):
        assert typed({"type": number, "items": {"type": word}}) == {
            "type": word, "items": {"type": word}}
    assert typed({"type": 7}) == {"type": 7} and typed({"type": "string"}) == {"type": "string"}
    assert typed({"minItems": "2", "maxLength": 3.0}) == {"minItems": 2, "maxLength": 3}
    assert json.loads(written({"type": "string", "minItems": "2"})) == {
        "type": "string", "minItems": "2"}


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
