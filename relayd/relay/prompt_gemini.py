"""Prompt counts of Gemini's endpoints: estimates, for its tokenizer is not OpenAI's.

Law: what a field of a wrong type would have said counts nothing; nothing here raises for a body.
Gemini takes its field names in camelCase and in snake_case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from relayd.relay.prompt_image import image_tokens, size_of_base64
from relayd.relay.prompt_tally import Object, Tally, member, objects

CONTENT: Final = 1
"""What each turn costs beyond its text (recorded: 0 to 2)."""

DEPTH_MAX: Final = 16
"""Objects and lists within each other that are read; deeper ones count nothing."""

DECLARED: Final = 12
DECLARED_BARE: Final = -9
"""What a function costs Gemini 3 beyond its declaration as JSON, with and without parameters
(recorded)."""

PARTS_DEPTH_MAX: Final = 2
"""Parts that hold a tool's answer, whose own parts are read too."""

THOUGHT_SHORTEST: Final = 107
THOUGHT_CHARACTERS: Final = 5
"""What a call's signature holds of the thoughts that led to it, in base64: Gemini 3 reads them
again (recorded: 3 to 6 characters a token, the first 107 none)."""


def generate(tally: Tally, fields: Mapping[str, object]) -> None:
    """`:generateContent`, `:streamGenerateContent`, `:countTokens`."""
    inner = fields.get("generateContentRequest", fields.get("generate_content_request"))
    asked = inner if isinstance(inner, dict) else fields
    system = _either(asked, "systemInstruction", "system_instruction")
    for said in tally.once(system, "system content"):
        _content(tally, said)
    _contents(tally, asked.get("contents"))
    for tool in tally.each(asked.get("tools"), "declarations"):
        declarations = _either(tool, "functionDeclarations", "function_declarations")
        for declaration in objects(declarations):
            _declared(tally, declaration)


def embed(tally: Tally, fields: Mapping[str, object]) -> None:
    """`:embedContent`."""
    _content(tally, fields.get("content"))


def batch_embed(tally: Tally, fields: Mapping[str, object]) -> None:
    """`:batchEmbedContents`."""
    for request in objects(fields.get("requests")):
        embed(tally, request)


def _either(asked: Mapping[str, object], camel: str, snake: str) -> object:
    return asked.get(camel, asked.get(snake))


def _declared(tally: Tally, declaration: Object) -> None:
    if tally.encoding.family == "gemini-2":
        tally.text(" ".join(_said(declaration, DEPTH_MAX)))
        return
    tally.json(declaration)
    if tally.encoding.family == "gemini-3":
        tally.fixed(DECLARED if _has_parameters(declaration) else DECLARED_BARE)


def _has_parameters(declaration: Object) -> bool:
    schema = declaration.get("parameters") or _either(
        declaration, "parametersJsonSchema", "parameters_json_schema")
    return bool(member(schema, "properties"))


def _contents(tally: Tally, contents: object) -> None:
    """A list of contents; one content or a text alone stands for a list of one."""
    if isinstance(contents, list):
        for element in contents:
            for content in tally.once(element, "contents"):
                tally.fixed(CONTENT)
                _content(tally, content)
    else:
        _content(tally, contents)


def _content(tally: Tally, content: object) -> None:
    tally.text(content)
    _parts(tally, content, PARTS_DEPTH_MAX)


def _parts(tally: Tally, holder: object, depth: int) -> None:
    parts = member(holder, "parts")
    if isinstance(parts, dict):
        parts = [parts]
    for part in objects(parts) if depth else ():
        _part(tally, part, depth - 1)


def _part(tally: Tally, part: Object, depth: int) -> None:
    tally.text(part.get("text"))
    call = _either(part, "functionCall", "function_call")
    if call is not None:
        tally.text(member(call, "name"))
        tally.text(" ".join(_words(member(call, "args"), DEPTH_MAX)))
        signature = _either(part, "thoughtSignature", "thought_signature")
        if isinstance(signature, str) and tally.encoding.family == "gemini-3":
            tally.fixed(max(len(signature) - THOUGHT_SHORTEST, 0) // THOUGHT_CHARACTERS)
    answer = _either(part, "functionResponse", "function_response")
    if answer is not None:
        tally.text(member(answer, "name"))
        tally.text(" ".join(_words(member(answer, "response"), DEPTH_MAX)))
        _parts(tally, answer, depth)
    tally.text(member(_either(part, "executableCode", "executable_code"), "code"))
    for data in (_either(part, "inlineData", "inline_data"),
                 _either(part, "fileData", "file_data")):
        kind = member(data, "mimeType") or member(data, "mime_type")
        if isinstance(kind, str) and kind.startswith("image/"):
            size = size_of_base64(member(data, "data"))
            tally.fixed(image_tokens(tally.encoding.family, size))


def _said(value: object, depth: int) -> Iterator[str]:
    """What a declaration says beside the names that JSON schemas have for it (recorded)."""
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            if name == "properties" and isinstance(inner, dict):
                yield from inner
                yield from _said(list(inner.values()), depth - 1)
            else:
                yield from _said(inner, depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _said(inner, depth - 1)
    elif isinstance(value, str):
        yield value


def _words(value: object, depth: int) -> Iterator[str]:
    """What a JSON value says: member names and values. Punctuation costs nothing (recorded)."""
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield name
            yield from _words(inner, depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _words(inner, depth - 1)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float):
        yield str(value)
