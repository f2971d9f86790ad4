"""Values that fit a JSON schema: arguments of tool calls and structured answers.

Law: deterministic, small, and bounded in depth whatever the schema says. Both spellings of types
are known: JSON Schema's `string` and Gemini's `STRING`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

DEPTH_MAX: Final = 12
ITEMS_MAX: Final = 8
TEXT_CHARS_MAX: Final = 256
PLACES: Final = ("city", "location", "place", "town", "capital")
FORMATS: Final = {
    "date-time": "2026-01-02T03:04:05Z", "date": "2026-01-02", "time": "03:04:05Z",
    "email": "runner@example.com", "uri": "https://example.com/relay", "ipv4": "192.0.2.1",
    "uuid": "00000000-0000-4000-8000-000000000000", "hostname": "example.com",
}

Schema = Mapping[str, Any]


def value_for(schema: Any, name: str = "") -> Any:
    """A value that a validator of `schema` takes; `name` is the property it is for."""
    root = schema if isinstance(schema, dict) else {}
    return _value(root, name, root, 0)


def _value(schema: Any, name: str, root: Schema, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return None
    schema = _resolved(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    for key in ("anyOf", "any_of", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _value(_first_not_null(schema[key]), name, root, depth + 1)
    return _typed(schema, name, root, depth)


def _typed(schema: Schema, name: str, root: Schema, depth: int) -> Any:
    kind = _type_of(schema)
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, name, root, depth)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "boolean":
        return True
    return None if kind == "null" else _text(schema, name)


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Follows `$ref` within the document, and the first part of `allOf`."""
    for _ in range(DEPTH_MAX):
        reference = schema.get("$ref")
        parts = schema.get("allOf")
        if isinstance(reference, str) and reference.startswith("#"):
            found: Any = root
            for key in reference[1:].strip("/").split("/"):
                found = found.get(key) if key and isinstance(found, dict) else found
        elif isinstance(parts, list) and parts:
            found = parts[0]
        else:
            break
        schema = found if isinstance(found, dict) else {}
    return schema


def _first_not_null(options: list[Any]) -> Any:
    named = [o for o in options if isinstance(o, dict) and o.get("type") not in ("null", "NULL")]
    return named[0] if named else None


def _object(schema: Schema, root: Schema, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    # optional parts of a deep schema are left out, so that a recursive one comes to an end
    return {key: _value(value, key, root, depth + 1) for key, value in properties.items()
            if key in needed or depth < DEPTH_MAX // 3}


def _array(schema: Schema, name: str, root: Schema, depth: int) -> list[Any]:
    least = schema.get("minItems", 1 if depth < DEPTH_MAX // 2 else 0)
    number = min(int(least), ITEMS_MAX) if str(least).isdigit() else 1
    return [_value(schema.get("items", {}), name, root, depth + 1) for _ in range(number)]


def _number(schema: Schema, kind: str) -> float:
    number: float = 3 if kind == "integer" else 1.5
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, (int, float)) and number < low:
        number = low
    if isinstance(high, (int, float)) and number > high:
        number = high
    return int(number) if kind == "integer" else number


def _text(schema: Schema, name: str) -> str:
    text = FORMATS.get(str(schema.get("format")), "")
    if not text:
        text = "Paris" if any(place in name.lower() for place in PLACES) else "relay"
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) and len(text) < least:
        text = text.ljust(min(least, TEXT_CHARS_MAX), ".")
    return text[:most] if isinstance(most, int) and most >= 0 else text
