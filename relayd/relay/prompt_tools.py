"""Tool definitions as OpenAI's models see them: a TypeScript namespace.

Law: this is a rendering for counting only; nothing of it is ever sent. What it does not know of a
JSON schema it leaves out, and it goes no deeper than `DEPTH_MAX`.
"""

from __future__ import annotations

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
    properties = member(schema, "properties")
    required = member(schema, "required")
    needed = required if isinstance(required, list) else []
    for name, value in properties.items() if isinstance(properties, dict) else ():
        description = member(value, "description")
        # deeper descriptions are not shown to the model
        if isinstance(description, str) and description and depth < 2:
            yield f"// {description}"
        yield f"{name}{'' if name in needed else '?'}: {_type(value, depth)},"


def _type(schema: object, depth: int) -> str:
    """The type of a property, on one or more lines."""
    if depth > DEPTH_MAX or not isinstance(schema, dict):
        return "any"
    choices = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(choices, list):
        return " | ".join(_type(choice, depth) for choice in choices)
    values = schema.get("enum")
    if isinstance(values, list):
        return " | ".join(_literal(value) for value in values)
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}, depth + 1) for one in kind)
    if kind == "array":
        return f"{_type(schema['items'], depth)}[]" if "items" in schema else "any[]"
    if kind == "object":
        return "\n".join(["{", *_properties(schema, depth + 1), "}"])
    return _PLAIN.get(kind, "any") if isinstance(kind, str) else "any"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
