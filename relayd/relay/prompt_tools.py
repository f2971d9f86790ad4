"""Tool definitions as OpenAI's models see them, a TypeScript namespace, and schemas of answers.

Law: this is a rendering for counting only; nothing of it is ever sent. What it does not know of a
JSON schema it leaves out, and it goes no deeper than `DEPTH_MAX`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from relayd.relay.prompt_tally import Object, member

DEPTH_MAX: Final = 16
"""Objects within objects of a schema; deeper ones are rendered as `any`."""

_PLAIN: Final = {"string": "string", "number": "number", "integer": "number",
                 "boolean": "boolean", "null": "null"}


def namespace(functions: list[Object]) -> str:
    """The namespace of functions, each an object with `name`, `description` and `parameters`."""
    lines = ["namespace functions {", ""]
    for function in functions:
        lines.extend(_function(function))
        lines.append("")
    lines.append("} // namespace functions")
    return "\n".join(lines)


def answer_form(form: Object) -> str:
    """The form of an answer, an object with `name`, `description` and `schema`.

    As the published format has it (OpenAI's harmony, "Structured output"); recorded usage lacks
    what the schema says of `required` and `additionalProperties`.
    """
    description = form.get("description")
    lines = ["# Response Formats", "", f"## {form.get('name')}", ""]
    if isinstance(description, str) and description:
        lines.append(f"// {description}")
    shown = _unruled(form.get("schema"), DEPTH_MAX)
    lines.append(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))
    return "\n".join(lines)


def _unruled(schema: object, depth: int) -> object:
    """A schema without its lists of what is required; what is too deep is cut off."""
    if isinstance(schema, list):
        return [_unruled(item, depth - 1) for item in schema] if depth > 0 else []
    if not isinstance(schema, dict):
        return schema
    return {name: _unruled(value, depth - 1) for name, value in schema.items()
            if not (name == "required" and isinstance(value, list))
            and not (name == "additionalProperties" and not isinstance(value, dict))
            } if depth > 0 else {}


def _function(function: Object) -> Iterator[str]:
    description = function.get("description")
    if isinstance(description, str) and description:
        yield f"// {description}"
    name = function.get("name")
    parameters = function.get("parameters")
    if not member(parameters, "properties"):
        yield f"type {name} = () => any;"
        return
    yield f"type {name} = (_: {{"
    yield from _properties(parameters, 0)
    yield "}) => any;"


def _properties(schema: object, depth: int) -> Iterator[str]:
    """The lines of an object's properties."""
    properties = member(schema, "properties")
    required = member(schema, "required")
    needed = {name for name in required if isinstance(name, str)} if isinstance(
        required, list) else set()
    for name, value in properties.items() if isinstance(properties, dict) else ():
        description = member(value, "description")
        if isinstance(description, str) and description:
            yield f"// {description}"
        yield f"{name}{'' if name in needed else '?'}: {_type(value, depth + 1)},"


def _type(schema: object, depth: int) -> str:
    """The type of a property, on one or more lines. Every part of a schema is read once."""
    if depth > DEPTH_MAX or not isinstance(schema, dict):
        return "any"
    choices = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(choices, list):
        return " | ".join(_type(choice, depth + 1) for choice in choices)
    values = schema.get("enum")
    if isinstance(values, list):
        return " | ".join(_literal(value) for value in values)
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = dict.fromkeys(one for one in kind if isinstance(one, str))
        return " | ".join(_kind(schema, one, depth) for one in kinds)
    return _kind(schema, kind, depth)


def _kind(schema: Object, kind: object, depth: int) -> str:
    if kind == "array":
        return f"{_type(schema['items'], depth + 1)}[]" if "items" in schema else "any[]"
    if kind == "object":
        return "\n".join(["{", *_properties(schema, depth), "}"])
    return _PLAIN.get(kind, "any") if isinstance(kind, str) else "any"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
