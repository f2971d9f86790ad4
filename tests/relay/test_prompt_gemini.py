"""Gemini's prompts are estimates: near what was recorded, and whole in what they read."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from relayd.relay.prompt_gemini import batch_embed, embed, generate
from relayd.relay.prompt_tally import Tally
from relayd.relay.tokenizer import Encodings, ModelEncoding, encoding_for
from tests.shared import known_collection, shared

PLAIN = ModelEncoding("o200k_base", False, 1000, "gemini")
SECOND = ModelEncoding("o200k_base", False, 1000, "gemini-2")
THIRD = ModelEncoding("o200k_base", False, 1000, "gemini-3")
HELLO = {"parts": [{"text": "hello"}]}


def tokens(
    encodings: Encodings, rule: object, body: Mapping[str, object],
    encoding: ModelEncoding = PLAIN,
) -> int:
    tally = Tally(encodings, encoding)
    rule(tally, body)  # type: ignore[operator]
    return tally.total()


def of(part: object) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [part]}]}


@pytest.mark.parametrize(("body", "expected"), [
    ({"contents": [HELLO]}, 2),
    ({"contents": [HELLO, HELLO]}, 4),
    ({"contents": HELLO}, 1),
    ({"contents": "hello"}, 1),
    ({"contents": ["hello"]}, 2),
    ({"contents": [{"parts": {"text": "hello"}}]}, 2),
    ({"contents": [HELLO], "systemInstruction": HELLO}, 3),
    ({"contents": [HELLO], "system_instruction": HELLO}, 3),
    ({"generateContentRequest": {"contents": [HELLO]}}, 2),
    (of({"functionCall": {"name": "hello", "args": {"hello": ["hello", 5]}}}), 1 + 1 + 4),
    (of({"function_response": {"name": "hello", "response": {"hello": None}}}), 1 + 1 + 1),
    (of({"inlineData": {"mimeType": "image/png", "data": ""}}), 1 + 258 * 4),
    (of({"file_data": {"mime_type": "image/png", "file_uri": "x"}}), 1 + 258 * 4),
    (of({"inlineData": {"mimeType": "audio/wav", "data": ""}}), 1),
    (of({"executableCode": {"language": "PYTHON", "code": "hello"}}), 1 + 1),
    (of({"functionResponse": {"name": "hello", "response": {}, "parts": [
        {"inlineData": {"mimeType": "image/png", "data": ""}}]}}), 1 + 1 + 258 * 4),
    ({"contents": [HELLO], "tools": [{"functionDeclarations": [{}]}]}, 2 + 1),
    ({"contents": [HELLO], "tools": [{"function_declarations": [{}]}, {"googleSearch": {}}]}, 3),
])
def test_generate_by_hand(encodings: Encodings, body: dict[str, object], expected: int) -> None:
    assert tokens(encodings, generate, body) == expected


FUNCTION = {"name": "hello", "description": "hello", "parameters": {
    "type": "OBJECT", "required": ["hello"], "properties": {
        "hello": {"type": "STRING", "enum": ["hello", "hello"], "default": 5}}}}


@pytest.mark.parametrize(("declaration", "expected"), [
    (FUNCTION, 2 + 8), ({"name": "hello"}, 2 + 1), ({}, 2),
    ({"parameters": {"properties": "hello"}}, 2 + 1), ({"parameters": [[["hello"], None]]}, 2 + 1),
])
def test_older_models_are_told_the_words_of_a_declaration(
    encodings: Encodings, declaration: dict[str, object], expected: int
) -> None:
    body = {"contents": [HELLO], "tools": [{"functionDeclarations": [declaration]}]}
    assert tokens(encodings, generate, body, SECOND) == expected
    assert tokens(encodings, generate, body) > expected or not declaration


@pytest.mark.parametrize(("signature", "thought"), [
    ("s" * 1428, 264), ("s" * 107, 0), ("s" * 12, 0), ("", 0), (5, 0), (None, 0),
])
@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
def test_gemini_3_reads_again_what_it_thought_before_a_call(
    encodings: Encodings, name: str, signature: object, thought: int
) -> None:
    called = of({"functionCall": {"name": "hello"}, name: signature})
    assert tokens(encodings, generate, called, THIRD) == 1 + 1 + thought
    assert tokens(encodings, generate, called) == 1 + 1
    said = of({"text": "hello", name: signature})
    assert tokens(encodings, generate, said, THIRD) == 1 + 1


@pytest.mark.parametrize(("declared", "expected"), [
    ({"name": "f"}, -9), ({"name": "f", "parameters": {"properties": {}}}, -9),
    ({"name": "f", "parameters": {"properties": {"a": {}}}}, 12),
    ({"name": "f", "parameters_json_schema": {"properties": {"a": {}}}}, 12),
    ({"name": "f", "parametersJsonSchema": 5}, -9),
])
def test_gemini_3_pays_more_for_parameters(
    encodings: Encodings, declared: dict[str, object], expected: int
) -> None:
    body = {"contents": [{"parts": [{"text": "hello " * 20}]}],
            "tools": [{"functionDeclarations": [declared]}]}
    assert tokens(encodings, generate, body, THIRD) - tokens(
        encodings, generate, body) == expected


def test_answers_of_tools_within_each_other_are_bounded(encodings: Encodings) -> None:
    part: object = {"text": "hello"}
    for _ in range(5000):
        part = {"functionResponse": {"name": "hello", "parts": [part]}}
    assert tokens(encodings, generate, of(part)) == 1 + 2


def test_embeddings(encodings: Encodings) -> None:
    assert tokens(encodings, embed, {"content": HELLO}) == 1
    assert tokens(encodings, batch_embed, {"requests": [{"content": HELLO}] * 3}) == 3


def test_deep_arguments_are_bounded(encodings: Encodings) -> None:
    deep: object = "hello"
    for _ in range(5000):
        deep = {"a": [deep]}
    body = of({"functionCall": {"name": "hello", "args": deep}})
    assert tokens(encodings, generate, body) < 40


def test_recorded_texts_are_counted_closely(encodings: Encodings) -> None:
    known_collection("corpus", "cases")
    near, total = 0, 0
    for case in sorted(shared("corpus", "cases").glob("gemini.*enerateContent.*")):
        expected = json.loads((case / "expected.json").read_text())
        body = json.loads((case / "request.json").read_text()).get("body")
        usage = (expected.get("usage_normalized") or {}).get("input_tokens")
        if not usage or not isinstance(body, dict) or body.get("tools"):
            continue
        if "function" in json.dumps(body) or "ata\"" in json.dumps(body):
            continue
        tally = Tally(encodings, encoding_for(expected["model_requested"]))
        generate(tally, body)
        near += abs(tally.total() - usage) <= max(3, 0.1 * usage)
        total += 1
    assert total >= 8 and near == total
