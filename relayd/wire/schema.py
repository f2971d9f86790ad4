"""JSON Schema objects in tools and answer formats: the keywords, and their order when written.

Keywords are structure, so their order is fixed. The order of the members of `properties` is
content (models fill them in that order), and `enum`, `const`, `default` and examples are values:
all of these are kept as they came (JSON Schema 2020-12; the same keywords in Gemini's OpenAPI
subset).
"""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Shape, Verdict, items, members, number

_VALUES: Final = ("const", "default", "enum", "example", "examples")
_NUMBERS: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "minContains", "maxContains", "minProperties",
    "maxProperties",
)

SCHEMA: Final = Shape()
schema: Final = SCHEMA.put
"""Orders a schema and all schemas in it; anything but an object (true, false) is kept."""

_MEMBERS: Final = members(schema)
_ITEMS: Final = items(schema)

KEYWORDS: Final[dict[str, Verdict]] = {
    "$schema": None, "$id": None, "$ref": None, "$anchor": None, "ref": None,
    "type": None, "title": None, "description": None, "format": None, "nullable": None,
    "pattern": None, "contentEncoding": None, "contentMediaType": None,
    **dict.fromkeys(_VALUES),
    **dict.fromkeys(_NUMBERS, number),
    "items": _ITEMS, "prefixItems": _ITEMS, "contains": schema, "uniqueItems": None,
    "unevaluatedItems": schema,
    "properties": _MEMBERS, "patternProperties": _MEMBERS, "propertyNames": schema,
    "propertyOrdering": None, "property_ordering": None, "required": None,
    "dependentRequired": None, "dependentSchemas": _MEMBERS, "dependencies": _MEMBERS,
    "additionalProperties": schema, "additional_properties": schema,
    "unevaluatedProperties": schema,
    "anyOf": _ITEMS, "any_of": _ITEMS, "oneOf": _ITEMS, "allOf": _ITEMS, "not": schema,
    "if": schema, "then": schema, "else": schema,
    "$defs": _MEMBERS, "definitions": _MEMBERS, "defs": _MEMBERS,
    "readOnly": None, "writeOnly": None, "deprecated": None, "$comment": None,
}
SCHEMA.define(KEYWORDS)
