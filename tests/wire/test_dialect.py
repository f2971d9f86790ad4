"""Paths: what is served, in which API, and what an unknown one is taken for."""

import pytest

from relayd.wire.dialect import ENDPOINTS, suggested_api, target_of

CONTRACT = {
    "/v1/chat/completions": "chat", "/v1/completions": "completions",
    "/v1/responses": "responses", "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations", "/v1/images/generations": "image_generation",
    "/v1/images/edits": "image_edit", "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "transcription", "/v1/audio/translations": "translation",
    "/v1/rerank": "rerank", "/v1/messages": "messages",
    "/v1/messages/count_tokens": "count_tokens",
    "/v1beta/models/gemini-2.5-flash:generateContent": "generate",
    "/v1/models/gemini-2.5-flash:streamGenerateContent": "stream_generate",
    "/v1beta/models/m:countTokens": "count", "/v1beta/models/m:embedContent": "embed",
    "/v1/models/m:batchEmbedContents": "batch_embed",
}


@pytest.mark.parametrize(("path", "operation"), CONTRACT.items())
def test_served(path: str, operation: str) -> None:
    target = target_of(path, "openai")
    assert target.kind == "call" and target.endpoint is not None
    assert target.endpoint.operation == operation
    assert target.api == target.endpoint.api


def test_every_endpoint_is_reached_by_a_path_of_the_contract() -> None:
    assert {e.operation for e in ENDPOINTS} == set(CONTRACT.values())


@pytest.mark.parametrize(("path", "api", "kind", "model"), [
    ("/v1/models", "anthropic", "models", None),
    ("/v1beta/models", "gemini", "models", None),
    ("/v1/models/gpt-4o", "openai", "models", "gpt-4o"),
    ("/v1beta/models/gemini-2.5-flash", "gemini", "models", "gemini-2.5-flash"),
    ("/v1/models/meta-llama%2FLlama-3", "openai", "models", "meta-llama/Llama-3"),
    ("/v1/models/meta-llama/Llama-3", "openai", "models", "meta-llama/Llama-3"),
    ("/v1/models/llama3:8b", "openai", "models", "llama3:8b"),
    ("/v1/models/llama3%3A8b", "anthropic", "models", "llama3:8b"),
    ("/v1/models/llama3:8b", "gemini", "none", None),
    ("/v1/models/a%00b", "openai", "none", None),
    ("/v2/models/gpt-4o", "openai", "none", None), ("/a/v1/models/b", "openai", "none", None),
    ("/models", "openai", "models", None),
    ("/openai/v1/models", "openai", "models", None),
    ("/models/gpt-4o", "openai", "models", "gpt-4o"),
    ("/openai/v1/models/gpt-4o", "openai", "models", "gpt-4o"),
    ("/openai/v1/chat/completions", "openai", "call", None),
    ("/chat/completions", "openai", "call", None),
])
def test_others(path: str, api: str, kind: str, model: str | None) -> None:
    target = target_of(path, api)  # type: ignore[arg-type]
    assert (target.kind, target.api, target.model) == (kind, api, model)


@pytest.mark.parametrize("path", [
    "/v1/files", "/v1/files/file-1/content", "/v1/batches", "/v1/assistants", "/v1/threads/t/runs",
    "/v1/conversations", "/v1/responses/resp_1", "/v1/responses/resp_1/cancel", "/v1/uploads",
    "/v1/messages/batches", "/v1/vector_stores", "/v1/chat/completions/c_1",
    "/v1/realtime/client_secrets", "/v1beta/files", "/upload/v1beta/files",
    "/v1beta/cachedContents", "/v1beta/models/m:batchGenerateContent", "/v1/skills/s/versions",
    "/v1/chatkit/sessions", "/v1/agents", "/v1/sessions/s/events", "/v1/memory_stores",
    "/v1/audio/voices", "/v1beta/interactions", "/v1beta/interactions/i/cancel",
    "/v1beta/fileSearchStores/f/documents",
])
def test_endpoints_that_keep_content_are_known_as_such(path: str) -> None:
    assert target_of(path, "openai").kind == "stateful"


@pytest.mark.parametrize("path", [
    "/", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "//v1/models", "/v1//models",
    "/v1/../v1/models", "/v1/models/..", "/v1/models/a/b:generateContent",
    "/v1beta/models/m:unknownVerb", "/v1/responses/compact", "/v1/responses/input_tokens",
    "/V1/models", "/v1/chat%2fcompletions", "*",
])
def test_unknown_paths(path: str) -> None:
    assert target_of(path, "openai").kind == "none"


@pytest.mark.parametrize(("path", "api"), [
    ("/v1beta/nothing", "gemini"), ("/v1/messages/nothing", "anthropic"),
    ("/v1/nothing", "openai"),
])
def test_an_unknown_path_has_the_nearest_shape(path: str, api: str) -> None:
    assert target_of(path, "openai").api == api


@pytest.mark.parametrize(("fields", "query", "api"), [
    ({b"anthropic-version": b"2023-06-01"}, "", "anthropic"),
    ({b"x-goog-api-key": b"k"}, "", "gemini"),
    ({}, "key=k", "gemini"),
    ({}, "alt=sse&key=k", "gemini"),
    ({}, "monkey=k", "openai"),
    ({b"authorization": b"Bearer k"}, "", "openai"),
])
def test_headers_suggest_the_api(fields: dict[bytes, bytes], query: str, api: str) -> None:
    assert suggested_api(fields, query) == api
