"""Gemini's five endpoints: the verdict of every field, in both spellings."""

from __future__ import annotations

import json
import time
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from google.genai import types

from relayd.wire.fields import snake
from relayd.wire.gemini_generate import GENERATION
from tests.wire.asking import ask, dropped, known, refusal, sent

ASK: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def part(**member: object) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [member]}]}


IN_THE_SDK_ALONE = {"httpOptions", "shouldReturnHttpResponse", "automaticFunctionCalling"}


def test_every_documented_field_has_a_verdict() -> None:
    config = {**types.GenerateContentConfig.model_fields, **types.GenerationConfig.model_fields}
    names = {field.alias or name for name, field in config.items()}
    assert names - IN_THE_SDK_ALONE <= known("generate") | set(GENERATION)


def test_nothing_is_stored_and_the_model_is_the_paths() -> None:
    assert sent("generate", {**ASK, "model": "models/other"}) == {**ASK, "store": False}
    assert ask("generate", ASK).model == "gemini-x"
    assert not ask("generate", ASK).stream
    assert ask("stream_generate", ASK).stream


def test_both_spellings_are_one() -> None:
    camel = {**ASK, "systemInstruction": {"parts": [{"text": "s"}]},
             "generationConfig": {"maxOutputTokens": 5, "topP": 1}}
    snaky = {"system_instruction": {"parts": [{"text": "s"}]},
             "generation_config": {"top_p": 1.0, "max_output_tokens": 5}, **ASK}
    assert json.dumps(sent("generate", camel)) == json.dumps(sent("generate", snaky))
    assert dropped("generate", snaky) == ()


SPELLINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "schema": (
        {"response_schema": {
            "type": "ARRAY", "max_items": 3, "min_items": "1",
            "items": {"any_of": [{"type": "STRING", "max_length": 4}],
                      "property_ordering": ["a_b"], "properties": {"a_b": {"min_length": 1}}}}},
        {"responseSchema": {
            "type": "ARRAY", "maxItems": "3", "minItems": 1,
            "items": {"anyOf": [{"type": "STRING", "maxLength": "4"}],
                      "propertyOrdering": ["a_b"], "properties": {"a_b": {"minLength": 1}}}}}),
    "speech": (
        {"speechConfig": {
            "language_code": "de", "voice_config": {
                "prebuilt_voice_config": {"voice_name": "Kore"},
                "replicated_voice_config": {"voice_sample_audio": "_-8=", "mime_type": "a/b"}},
            "multi_speaker_voice_config": {"speaker_voice_configs": [
                {"speaker": "A", "voice_config": {"voice": "v_w"}}]}}},
        {"speechConfig": {
            "voiceConfig": {
                "prebuiltVoiceConfig": {"voiceName": "Kore"},
                "replicatedVoiceConfig": {"mimeType": "a/b", "voiceSampleAudio": "/+8="}},
            "languageCode": "de",
            "multiSpeakerVoiceConfig": {"speakerVoiceConfigs": [
                {"voiceConfig": {"voice": "v_w"}, "speaker": "A"}]}}}),
    "image": ({"image_config": {"image_size": "2K", "aspect_ratio": "1:1"}},
              {"imageConfig": {"aspectRatio": "1:1", "imageSize": "2K"}}),
    "transcription": (
        {"audioTranscriptionConfig": {"language_hints": {"language_codes": ["en"]}}},
        {"audioTranscriptionConfig": {"languageHints": {"languageCodes": ["en"]}}}),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_both_spellings_are_one_in_all_of_generation_config(name: str) -> None:
    snaky, camel = (
        sent("generate", {**ASK, "generationConfig": config}) for config in SPELLINGS[name])
    assert json.dumps(snaky) == json.dumps(camel)


ROOTS: dict[str, tuple[Any, type]] = {
    "generationConfig": (lambda value: {"generationConfig": value}, types.GenerationConfig),
    "imageConfig": (
        lambda value: {"generationConfig": {"imageConfig": value}}, types.ImageConfig),
    "tools": (lambda value: {"tools": [value]}, types.Tool),
    "toolConfig": (lambda value: {"toolConfig": value}, types.ToolConfig),
    "safetySettings": (lambda value: {"safetySettings": [value]}, types.SafetySetting),
    "parts": (lambda value: {"contents": [{"parts": [value]}]}, types.Part),
}
Members = list[tuple[str, str]]
"""From the root down: each one's names, in snake_case and in lowerCamelCase."""


def messages_in(annotation: Any) -> list[Any]:
    """The message types that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [kind for inner in typing.get_args(annotation) for kind in messages_in(inner)]


def members_of(kind: Any, above: tuple[Any, ...] = ()) -> Iterator[Members]:
    for name, field in kind.model_fields.items():
        camel = field.alias or name
        pair = (snake(camel), camel)
        yield [pair]
        for inner in messages_in(field.annotation):
            if inner not in (kind, *above):
                yield from ([pair, *rest] for rest in members_of(inner, (kind, *above)))


@pytest.mark.parametrize("root", ROOTS)
def test_every_field_of_the_sdk_s_types_has_one_spelling(root: str) -> None:
    place, kind = ROOTS[root]
    for path in members_of(kind):
        told = []
        for spelling in (0, 1):
            value: Any = 2.0
            for member in reversed(path):
                value = {member[spelling]: value}
            body = {**ASK, **place(value)}
            refused = refusal("generate", body, remote_mcp="on")
            told.append(refused or json.dumps(sent("generate", body, remote_mcp="on")))
        assert told[0] == told[1], path


@pytest.mark.parametrize(("snaky", "camel"), [
    ({"text": "a", "mediaResolution": {"num_tokens": 3}},
     {"text": "a", "mediaResolution": {"numTokens": 3}}),
    ({"inline_data": {"mime_type": "image/png", "data": "_-8="}, "document_metadata": {
        "start_page": 1}},
     {"inlineData": {"data": "/+8=", "mimeType": "image/png"}, "documentMetadata": {
         "startPage": 1}}),
    ({"functionCall": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "_-8="},
     {"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": "/+8="}),
    ({"functionResponse": {"name": "f", "response": {"a_b": 1}, "parts": [
        {"inline_data": {"mime_type": "image/png", "data": "_-8="}}]}},
     {"functionResponse": {"name": "f", "response": {"a_b": 1}, "parts": [
         {"inlineData": {"mimeType": "image/png", "data": "/+8="}}]}}),
])
def test_both_spellings_of_a_part_are_one(snaky: dict[str, Any], camel: dict[str, Any]) -> None:
    found = sent("generate", part(**snaky))
    assert json.dumps(found) == json.dumps(sent("generate", part(**camel)))
    assert found["contents"][0]["parts"] == [camel]


def test_both_spellings_of_tools_are_one_and_names_in_maps_stay() -> None:
    snaky = [{"google_search": {"time_range_filter": {"start_time": "2026-01-01T00:00:00+00:00"}}},
             {"computerUse": {"excluded_predefined_functions": ["a_b"]}},
             {"exaAiSearch": {"api_key": "k", "custom_configs": {"num_results": 5}}}]
    camel = [{"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00.000Z"}}},
             {"computerUse": {"excludedPredefinedFunctions": ["a_b"]}},
             {"exaAiSearch": {"apiKey": "k", "customConfigs": {"num_results": 5}}}]
    first, second = (
        sent("generate", {**ASK, "tools": tools}, remote_mcp="on") for tools in (snaky, camel))
    assert json.dumps(first) == json.dumps(second)
    assert first["tools"][2]["exaAiSearch"]["customConfigs"] == {"num_results": 5}


def test_of_two_spellings_the_tables_own_counts() -> None:
    body = part(file_data={"file_uri": "gs://b/x"}, fileData={"fileUri": "https://youtu.be/x"})
    assert sent("generate", body)["contents"][0]["parts"] == [
        {"fileData": {"fileUri": "https://youtu.be/x"}}]


@pytest.mark.parametrize("more", [
    {"generationConfig": {}}, {"safetySettings": []}, {"tools": []}, {"toolConfig": {}},
    {"labels": {}}, {"cachedContent": ""}, {"cachedContent": None},
    {"generationConfig": {"candidateCount": 1}}, {"generation_config": {"candidate_count": 1.0}},
    {"toolConfig": {"retrievalConfig": {"latLng": {"latitude": 1.5}, "languageCode": "de"}}},
])
def test_what_says_nothing_is_absent(more: dict[str, Any]) -> None:
    assert sent("generate", {**ASK, **more}) == {**ASK, "store": False}


@pytest.mark.parametrize(("more", "names"), [
    ({"labels": {"team": "x"}}, ("labels",)),
    ({"store": True}, ("store",)),
    ({"tool_config": {"retrieval_config": {"lat_lng": {"latitude": 1.5}}}},
     ("toolConfig.retrievalConfig.latLng",)),
    ({"tools": [{"googleMaps": {"authConfig": {"apiKey": "k"}}}]},
     ("tools.googleMaps.authConfig",)),
    ({"userId": "x"}, ("userId",)),
    ({"generationConfig": {"routing_config": {"manual_mode": {"model_name": "gemini-pro"}}}},
     ("generationConfig.routingConfig",)),
    (part(text="hi", part_metadata={"file": "bob.txt"}), ("contents.parts.partMetadata",)),
])
def test_what_is_dropped_is_named(more: dict[str, Any], names: tuple[str, ...]) -> None:
    assert dropped("generate", {**ASK, **more}) == names


@pytest.mark.parametrize(("body", "param"), [
    ({**ASK, "cachedContent": "cachedContents/x"}, "cachedContent"),
    ({**ASK, "cached_content": "cachedContents/x"}, "cachedContent"),
    ({**ASK, "continuationToken": "x"}, "continuationToken"),
    ({**ASK, "modelArmorConfig": {"a": 1}}, "modelArmorConfig"),
    ({**ASK, "tools": [{"fileSearch": {"fileSearchStoreNames": ["x"]}}]}, "tools.fileSearch"),
    ({**ASK, "tools": [{"mcp_servers": [{"name": "x"}]}]}, "tools.mcpServers"),
    (part(fileData={"fileUri": "gs://bucket/x"}), "contents.parts.fileData.fileUri"),
    (part(file_data={"file_uri": "files/abc"}), "contents.parts.fileData.fileUri"),
    (part(file_data={"file_uri": "/v1beta/files/abc"}), "contents.parts.fileData.fileUri"),
    (part(fileData={"fileUri": "https://generativelanguage.googleapis.com/download/v1beta/files/a"
                               ":download?alt=media"}), "contents.parts.fileData.fileUri"),
    (part(fileData={"fileUri": "https://generativelanguage.googleapis.com:443//v1beta/%66iles/a"}),
     "contents.parts.fileData.fileUri"),
    (part(fileData={"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}),
     "contents.parts.fileData.fileUri"),
    (part(functionResponse={"name": "f", "parts": [{"fileData": {"fileUri": "gs://x"}}]}),
     "contents.parts.fileData.fileUri"),
])
def test_refusals(body: dict[str, Any], param: str) -> None:
    assert refusal("generate", body) == ("refused_field", param)
    inner = {"generateContentRequest": {"model": "models/gemini-x", **body}}
    assert refusal("count", inner) == ("refused_field", param)


@pytest.mark.parametrize("again", ["generativelanguage", "googleapis.comv1", "googleapis.com:1"])
def test_long_addresses_take_linear_time(again: str) -> None:
    body = part(fileData={"fileUri": "https://" + again * (1 << 16)})
    began = time.process_time()
    assert refusal("generate", body) is None
    assert time.process_time() - began < 1.0  # where each may begin anew it took minutes


def test_public_files_pass() -> None:
    body = part(fileData={"fileUri": "https://www.youtube.com/watch?v=x", "mimeType": "video/mp4"})
    assert refusal("generate", body) is None


def test_arguments_keep_their_order() -> None:
    call = {"args": {"z": 1, "a": {"y": 1, "b": 2}}, "name": "f"}
    found = sent("generate", part(functionCall=call))["contents"][0]["parts"][0]
    assert json.dumps(found) == json.dumps({
        "functionCall": {"name": "f", "args": {"z": 1, "a": {"y": 1, "b": 2}}}})


def test_declarations_are_ordered() -> None:
    tool = {"function_declarations": [{
        "parameters": {"properties": {"b": {"type": "STRING"}, "a": {}}, "type": "OBJECT"},
        "name": "f"}]}
    found = sent("generate", {**ASK, "tools": [tool]})["tools"]
    assert json.dumps(found) == json.dumps([{"functionDeclarations": [{
        "name": "f",
        "parameters": {"type": "OBJECT", "properties": {"b": {"type": "STRING"}, "a": {}}}}]}])


def test_counts() -> None:
    inner = {"generateContentRequest": {"contents": ASK["contents"], "model": "models/mine",
                                        "labels": {"a": "b"}}}
    assert sent("count", inner) == {
        "generateContentRequest": {"contents": ASK["contents"], "model": "models/gemini-x"}}
    assert dropped("count", inner) == ("labels",)
    assert sent("count", ASK) == ASK
    assert refusal("count", {"generateContentRequest": "x"}) == ("invalid_field", None)


def test_embeddings() -> None:
    content = {"parts": [{"text": "hi"}]}
    one = {"outputDimensionality": 8.0, "content": content, "model": "models/x",
           "task_type": "RETRIEVAL_QUERY"}
    assert json.dumps(sent("embed", one)) == json.dumps(
        {"content": content, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8})
    assert sent("batch_embed", {"requests": [{"content": content, "model": "models/x"}]}) == {
        "requests": [{"model": "models/gemini-x", "content": content}]}


@pytest.mark.parametrize("content", [
    {"parts": [{"text": "hi"}]}, {"role": "user", "parts": [{"text": "hi"}]},
    {"parts": [{"text": "hi"}], "role": "model"}], ids=("none", "user", "model"))
def test_the_role_of_what_is_embedded_says_nothing(content: dict[str, Any]) -> None:
    """Google's SDKs write one in both of these, the AI SDK in neither."""
    plain = {"parts": [{"text": "hi"}]}
    assert sent("embed", {"content": content}) == {"content": plain}
    assert sent("batch_embed", {"requests": [{"content": content}]}) == {
        "requests": [{"model": "models/gemini-x", "content": plain}]}
    assert dropped("embed", {"content": content}) == ()


@pytest.mark.parametrize("name", ["function_declarations", "functionDeclarations"])
def test_a_tool_by_itself_is_a_list_of_one(name: str) -> None:
    tool = {name: [{"name": "f", "description": "d"}]}
    for operation in ("generate", "stream_generate", "count"):
        listed = sent(operation, {**ASK, "tools": [dict(tool)]})
        assert sent(operation, {**ASK, "tools": dict(tool)}) == listed
        assert listed["tools"] == [{"functionDeclarations": [{"name": "f", "description": "d"}]}]
    for nothing in ({}, [], None):
        assert "tools" not in sent("generate", {**ASK, "tools": nothing})


def test_numbers_of_enumerations_are_their_names() -> None:
    """The old SDK writes them; they are protobuf's other spelling of the same."""
    def asked(kind: object, text: object, mode: object, harm: object, block: object) -> Any:
        schema = {"type": kind, "properties": {"a": {"type": "ARRAY", "items": {"type": text}}}}
        return sent("generate", {
            **ASK, "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}],
            "toolConfig": {"functionCallingConfig": {"mode": mode}},
            "safetySettings": [{"category": harm, "threshold": block}],
            "generationConfig": {"responseSchema": schema}})

    assert asked(6, 1, 2, 8, 4) == asked(
        "OBJECT", "STRING", "ANY", "HARM_CATEGORY_HATE_SPEECH", "BLOCK_NONE")
    assert asked(77, "string", True, -1, None) != asked("OBJECT", "STRING", "ANY", 0, 4)
    task = {"content": {"parts": [{"text": "hi"}]}, "taskType": 2}
    assert sent("embed", task)["taskType"] == "RETRIEVAL_DOCUMENT"


@pytest.mark.parametrize("role", ["user", "system", "model"])
def test_the_role_of_the_system_instruction_says_nothing(role: str) -> None:
    said = {"parts": [{"text": "be kind"}]}
    body = {**ASK, "systemInstruction": {"role": role, **said}}
    assert sent("generate", body)["systemInstruction"] == said
    assert dropped("generate", body) == ()


def test_counts_of_a_schema_are_numbers_in_either_spelling() -> None:
    """Google's SDK for JavaScript writes strings, the one for Python numbers."""
    def asked(most: object) -> Any:
        return sent("generate", {**ASK, "generationConfig": {
            "responseSchema": {"type": "ARRAY", "maxItems": most}}})

    assert json.dumps(asked("3")) == json.dumps(asked(3)) == json.dumps(asked(3.0))
    for odd in ("", "3a", "-3", "\u0663", "9" * 16):
        assert asked(odd)["generationConfig"]["responseSchema"]["maxItems"] == odd


@pytest.mark.parametrize("operation", ["count", "batch_embed"])
def test_a_request_within_a_request_has_unknown_fields_dropped_too(operation: str) -> None:
    asked = {"contents": ASK["contents"]} if operation == "count" else {
        "content": {"parts": [{"text": "hi"}]}}
    more = {**asked, "sessionId": "canary", "title": None}
    if operation == "count":
        body: dict[str, Any] = {"generateContentRequest": more}
    else:
        body = {"requests": [more]}
    told = sent(operation, body)
    inner = told["requests"][0] if "requests" in told else told["generateContentRequest"]
    assert inner == {**asked, "model": "models/gemini-x"}
    assert dropped(operation, body) == ("sessionId",)
    assert refusal(operation, body, unknown_fields="refuse") == ("unknown_field", "sessionId")


@pytest.mark.parametrize("medium", ["text", "audio", "image", "video"])
def test_answers_are_inline_and_kept_nowhere(medium: str) -> None:
    def config(**more: str) -> dict[str, Any]:
        made = {"mimeType": "x/y", **more}
        return {**ASK, "generationConfig": {"responseFormat": [{medium: made}]}}

    linked = config(delivery="URI")
    assert sent("generate", linked) == {**config(delivery="INLINE"), "store": False}
    assert dropped("generate", linked) == ("generationConfig.responseFormat.delivery",)
    assert sent("generate", config()) == {**config(), "store": False}
    assert dropped("generate", config(delivery="INLINE")) == ()
    assert refusal("generate", config(gcsUri="gs://bucket/x")) == (
        "refused_field", "generationConfig.responseFormat.gcsUri")


@pytest.mark.parametrize(("more", "name"), [
    (part(text="hi", session_id="bob"), "contents.parts.sessionId"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "metadata": {"user": "bob"}}]}]},
     "tools.functionDeclarations.metadata"),
])
def test_what_an_application_keeps_beside_is_dropped(more: dict[str, Any], name: str) -> None:
    assert "bob" not in json.dumps(sent("generate", {**ASK, **more}))
    assert dropped("generate", {**ASK, **more}) == (name,)
