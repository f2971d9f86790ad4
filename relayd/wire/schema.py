"""JSON Schema objects in tools and answer formats: the keywords, and their order when written.

Keywords are structure, so their order is fixed. The order of the members of `properties` is
content (models fill them in that order), and `enum`, `const`, `default` and examples are values:
all of these are kept as they came (JSON Schema 2020-12; the same keywords in Gemini's OpenAPI
subset).
"""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Act, Shape, Verdict, enum, int64, items, members, number

_VALUES: Final = ("const", "default", "enum", "example", "examples")
_NUMBERS: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
)
_COUNTS: Final = (
    "minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains",
    "minProperties", "maxProperties",
)

SCHEMA: Final = Shape()
schema: Final = SCHEMA.put
"""Orders a schema and all schemas in it; anything but an object (true, false) is kept."""

TYPED: Final = Shape()
typed_schema: Final = TYPED.put
"""The same of Gemini's subset, whose types are an enumeration and whose counts may be strings."""


def _keywords(put: Act, kind: Verdict, count: Act) -> dict[str, Verdict]:
    named, listed = members(put), items(put)
    return {
        "$schema": None, "$id": None, "$ref": None, "$anchor": None, "ref": None,
        "type": kind, "title": None, "description": None, "format": None, "nullable": None,
        "pattern": None, "contentEncoding": None, "contentMediaType": None,
        **dict.fromkeys(_VALUES),
        **dict.fromkeys(_NUMBERS, number),
        **dict.fromkeys(_COUNTS, count),
        "items": listed, "prefixItems": listed, "contains": put, "uniqueItems": None,
        "unevaluatedItems": put,
        "properties": named, "patternProperties": named, "propertyNames": put,
        "propertyOrdering": None, "property_ordering": None, "required": None,
        "dependentRequired": None, "dependentSchemas": named, "dependencies": named,
        "additionalProperties": put, "additional_properties": put,
        "unevaluatedProperties": put,
        "anyOf": listed, "any_of": listed, "oneOf": listed, "allOf": listed, "not": put,
        "if": put, "then": put, "else": put,
        "$defs": named, "definitions": named, "defs": named,
        "readOnly": None, "writeOnly": None, "deprecated": None, "$comment": None,
    }


KEYWORDS: Final = _keywords(schema, None, number)
SCHEMA.define(KEYWORDS)
TYPED.define(_keywords(typed_schema, enum(
    "TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"), int64),
    snake_too=True)
