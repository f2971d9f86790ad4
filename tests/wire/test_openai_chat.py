"""POST /v1/chat/completions: the verdict of every field."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming,
)

from tests.wire.asking import annotations, ask, dropped, known, refusal, sent

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def test_every_documented_field_has_a_verdict() -> None:
    params = annotations(CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming)
    assert params <= known("chat")


def test_nothing_is_stored() -> None:
    assert sent("chat", CHAT) == CHAT
    assert "store" not in sent("chat", {**CHAT, "store": True})
    assert sent("chat", {**CHAT, "store": True}, unstored=True)["store"] is False
    assert dropped("chat", {**CHAT, "store": True}) == ("store",)
    assert dropped("chat", {**CHAT, "store": False}) == ()


def test_an_empty_bias_is_none() -> None:
    assert sent("chat", {**CHAT, "logit_bias": {}}) == CHAT
    assert sent("chat", {**CHAT, "logit_bias": {"5": 1}})["logit_bias"] == {"5": 1}


@pytest.mark.parametrize(("options", "wanted", "asked"), [
    (None, {"include_usage": True}, False),
    ({}, {"include_usage": True}, False),
    ({"include_usage": False}, {"include_usage": True}, False),
    ({"include_usage": True}, {"include_usage": True}, True),
    ({"include_obfuscation": False}, {"include_usage": True, "include_obfuscation": False}, False),
])
def test_usage_is_asked_for_in_streams(options: object, wanted: object, asked: bool) -> None:
    body = {**CHAT, "stream": True, "stream_options": options}
    assert sent("chat", body)["stream_options"] == wanted
    assert ask("chat", body).usage_asked is asked
    assert ask("chat", body).stream


@pytest.mark.parametrize("operation", ["chat", "completions"])
def test_one_answer_is_what_nobody_has_to_ask_for(operation: str) -> None:
    """Some frameworks write it in every request."""
    assert sent(operation, {**CHAT, "n": 1}) == sent(operation, CHAT)
    assert sent(operation, {**CHAT, "n": 1.0}) == sent(operation, CHAT)
    assert dropped(operation, {**CHAT, "n": 1}) == dropped(operation, CHAT)
    for value, written in ((2, 2), (2.0, 2), (0, 0), (True, True), ("1", "1"), (1.5, 1.5)):
        kept = sent(operation, {**CHAT, "n": value})["n"]
        assert (kept, type(kept)) == (written, type(written))


def test_options_of_a_stream_mean_nothing_without_one() -> None:
    body = {**CHAT, "stream": False, "stream_options": {"include_usage": True}}
    assert sent("chat", body) == sent("chat", CHAT)
    assert not ask("chat", body).usage_asked


@pytest.mark.parametrize("field", ["temperature", "top_p", "max_tokens", "frequency_penalty"])
def test_integral_numbers_are_written_as_integers(field: str) -> None:
    value = sent("chat", {**CHAT, field: 1.0})[field]
    assert (value, type(value)) == (1, int)
    assert sent("chat", {**CHAT, field: 0.7})[field] == 0.7


@pytest.mark.parametrize(("more", "name"), [
    ({"metadata": {"trace": "x"}}, "metadata"),
    ({"user": "bob"}, "user"),
    ({"safety_identifier": "bob"}, "safety_identifier"),
    ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
    ({"prompt_cache_options": {"comparison_response_id": "r"}},
     "prompt_cache_options.comparison_response_id"),
    ({"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl"),
    ({"messages": [{"role": "user", "content": [{
        "type": "text", "text": "hi", "prompt_cache_breakpoint": {
            "mode": "explicit", "ttl": "12h"}}]}]}, "prompt_cache_breakpoint.ttl"),
    ({"web_search_options": {"user_location": {"type": "approximate"}}},
     "web_search_options.user_location"),
    ({"session_id": "x"}, "session_id"),
    ({"tools": [{"type": "function", "function": {"name": "f"}, "metadata": {"user": "bob"}}]},
     "tools.metadata"),
    ({"tools": [{"type": "function", "function": {"name": "f", "sessionId": "bob"}}]},
     "tools.function.sessionId"),
    ({"messages": [{"role": "user", "content": "hi", "id": "msg_1"}]}, "messages.id"),
    ({"messages": [{"role": "user", "content": "hi", "uuid": "bob"}]}, "messages.uuid"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "id": "bob"}]}]},
     "messages.content.id"),
    ({"messages": [{"role": "user", "content": "hi", "chatId": "bob"}]}, "messages.chatId"),
    ({"messages": [{"role": "user", "content": "hi", "tenant_id": "bob"}]}, "messages.tenant_id"),
])
def test_what_is_dropped_is_named(more: dict[str, Any], name: str) -> None:
    assert dropped("chat", {**CHAT, **more}) == (name,)
    assert "bob" not in str(sent("chat", {**CHAT, **more}))


@pytest.mark.parametrize(("policy", "same_for_users"), [("account", True), ("enduser", False)])
def test_a_pseudonym_stands_for_the_end_user(policy: str, same_for_users: bool) -> None:
    bodies = [{**CHAT, "user": "bob"}, {**CHAT, "safety_identifier": "bob"},
              {**CHAT, "user": "eve"}, CHAT]
    users = [sent("chat", body, end_user=policy)["user"] for body in bodies]
    assert users[0] == users[1]
    assert (users[0] == users[2] == users[3]) is same_for_users
    assert all(len(user) == 26 for user in users)
    assert dropped("chat", bodies[0], end_user=policy) == ()


def test_the_cache_key_is_hashed_or_absent() -> None:
    body = {**CHAT, "prompt_cache_key": "session-7"}
    key = sent("chat", body)["prompt_cache_key"]
    assert len(key) == 26 and key == sent("chat", body)["prompt_cache_key"]
    assert "prompt_cache_key" not in sent("chat", body, cache_key="absent")
    assert dropped("chat", body, cache_key="absent") == ("prompt_cache_key",)


@pytest.mark.parametrize(("more", "error"), [
    ({"stream": "yes"}, ("invalid_field", "stream")),
    ({"stream_options": "usage"}, ("invalid_field", "stream_options")),
    ({"prompt_cache_key": 7}, ("invalid_field", "prompt_cache_key")),
    ({"tools": [{"type": "mcp", "server_url": "https://x"}]}, ("refused_field", "tools.mcp")),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
     ("refused_field", "messages.content.file.file_id")),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file_id": "f"}]}]},
     ("refused_field", "messages.content.file_id")),
    ({"messages": [{"role": "assistant", "audio": {"id": "audio_1", "transcript": "hi"}}]},
     ("refused_field", "messages.audio.id")),
    ({"tools": [{"type": "retrieval", "retrieval": {"knowledge_id": "1"}}]},
     ("refused_field", "tools.retrieval")),
])
def test_refusals(more: dict[str, Any], error: tuple[str, str]) -> None:
    assert refusal("chat", {**CHAT, **more}) == error


@pytest.mark.parametrize("name", [
    "image_url", "video_url", "audio_url", "document_url", "file_url"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_file_by_its_address_is_one_that_everybody_can_read(name: str, wrapped: bool) -> None:
    def body(url: str) -> dict[str, Any]:
        part = {"type": name, name: {"url": url} if wrapped else url}
        return {**CHAT, "messages": [{"role": "user", "content": [part]}]}

    for url in ("https://a.example/x.png", "HTTP://a.example", "data:image/png;base64,A=", "A="):
        assert sent("chat", body(url)) == body(url)
    for url in ("ms://file-1", "file:///etc/passwd", " oss://bucket/x", "GS://b/x"):
        assert refusal("chat", body(url)) == ("refused_field", f"messages.content.{name}")


def test_order_is_fixed_where_it_is_structure_and_kept_where_it_is_content() -> None:
    call = {"function": {"arguments": '{"b": 1, "a": 2}', "name": "f"}, "type": "function",
            "id": "c1"}
    body = {
        "tools": [{"function": {"parameters": {"properties": {"b": {}, "a": {}}, "type": "object"},
                                "name": "f"}, "type": "function"}],
        "messages": [{"tool_calls": [call], "content": None, "role": "assistant"}],
        "model": "m",
    }
    wire = str(sent("chat", body))
    assert wire.index("'model'") < wire.index("'messages'") < wire.index("'tools'")
    assert "'function': {'name': 'f', 'arguments': '{\"b\": 1, \"a\": 2}'}" in wire
    assert "{'type': 'object', 'properties': {'b': {}, 'a': {}}}" in wire
    assert "{'role': 'assistant', 'content': None, 'tool_calls'" in wire


def test_what_sdks_made_of_an_answer_stays_here() -> None:
    """Their helpers put it into the message that goes into the next turn."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    helped = {**said, "parsed": {"city": "Paris"}, "tool_calls": [
        {**call, "function": {"name": "f", "arguments": "{}", "parsed_arguments": {}}}]}
    assert sent("chat", {**CHAT, "messages": [helped]}) == {**CHAT, "messages": [said]}
    assert dropped("chat", {**CHAT, "messages": [helped]}) == ("messages.parsed",)


@pytest.mark.parametrize("said", [
    {"role": "assistant", "content": "ok"},
    {"role": "assistant", "content": None, "refusal": "no"},
    {"role": "assistant", "content": "ok", "annotations": [{"type": "file"}]},
    {"role": "assistant", "content": "It is", "prefix": True},
])
def test_an_answer_that_is_given_back_is_the_same_with_and_without_what_says_nothing(
    said: dict[str, Any]
) -> None:
    empty: dict[str, Any] = {
        "refusal": None, "annotations": [], "audio": None, "function_call": None,
        "tool_calls": None, "name": None, "reasoning_content": None, "executed_tools": None,
        "prefix": False}
    for more in (empty, {**empty, "annotations": None, "tool_calls": []}):
        body = {**CHAT, "messages": [{**more, **said}]}
        assert sent("chat", body) == {**CHAT, "messages": [said]}
        assert dropped("chat", body) == ()


def test_a_call_that_is_given_back_is_the_same_however_its_client_kept_it() -> None:
    """Streams number their parts, and some SDKs name what an answer had not, as null."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    plain = {**CHAT, "messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}
    for more in ({"index": 0}, {"index": None}, {"extra_content": None}):
        body = {**CHAT, "messages": [
            {"role": "assistant", "content": None, "tool_calls": [{**call, **more}]}]}
        assert sent("chat", body) == sent("chat", plain)
        assert dropped("chat", body) == ()


def test_no_tools_are_none() -> None:
    """Some frameworks write an empty list; what a choice among none means is not known here."""
    assert sent("chat", {**CHAT, "tools": []}) == CHAT
    chosen = {**CHAT, "tools": [], "tool_choice": "auto"}
    assert sent("chat", chosen) == chosen
