"""POST /v1/responses: the verdict of every field, item and tool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming,
)

from tests.wire.asking import annotations, ask, dropped, known, refusal, sent

ASK: dict[str, Any] = {"model": "gpt-5", "input": "hi"}


def test_every_documented_field_has_a_verdict() -> None:
    params = annotations(ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming)
    assert params <= known("responses")


def test_nothing_is_stored() -> None:
    assert sent("responses", ASK) == {**ASK, "store": False}
    assert sent("responses", {**ASK, "store": True})["store"] is False


@pytest.mark.parametrize("more", [
    {"reasoning": {}}, {"text": {}}, {"tools": []}, {"include": []},
])
def test_what_says_nothing_tells_no_client(more: dict[str, Any]) -> None:
    """Some frameworks write these members empty in every request."""
    assert sent("responses", {**ASK, **more}) == sent("responses", ASK)
    assert dropped("responses", {**ASK, **more}) == ()


def test_options_of_the_stream_are_kept_without_usage() -> None:
    body = {**ASK, "stream": True, "stream_options": {"include_obfuscation": False}}
    assert sent("responses", body)["stream_options"] == {"include_obfuscation": False}
    assert "stream_options" not in sent("responses", {**ASK, "stream": True})


@pytest.mark.parametrize(("more", "param"), [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": {"id": "conv_1"}}, "conversation"),
    ({"background": True}, "background"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"background_options": {"continuation_id": "x"}}, "background_options"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.item_reference"),
    ({"input": [{"id": "msg_1"}]}, "input.item_reference"),
    ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input.item_reference"),
    ({"input": [{"type": "image_generation_call", "id": "ig_1", "result": None}]},
     "input.item_reference"),
    ({"input": [{"type": "image_generation_call", "id": "ig_1", "status": "completed"}]},
     "input.item_reference"),
    ({"input": [{"type": "code_interpreter_call", "id": "ci_1", "code": "1",
                 "container_id": "cntr_1"}]}, "input.container_id"),
    ({"input": [{"type": "shell_call", "call_id": "c", "environment": {
        "type": "container_reference", "container_id": "cntr_1"}}]},
     "input.environment.container_id"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]},
     "input.content.file_id"),
    ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools.file_search"),
    ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools.container"),
    ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]},
     "tools.file_ids"),
    ({"tools": [{"type": "shell", "environment": {"type": "container_reference",
                                                  "container_id": "c"}}]}, "tools.container_id"),
    ({"tools": [{"type": "shell", "environment": {
        "type": "container_auto", "network_policy": {"type": "allowlist", "domain_secrets": [{}]},
    }}]}, "tools.domain_secrets"),
    ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x"}]}, "tools.mcp"),
    ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}, "tools.mcp"),
    ({"input": [{"type": "additional_tools", "tools": [{"type": "mcp"}]}]}, "tools.mcp"),
    ({"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "f"}}]},
     "tools.input_image_mask.file_id"),
])
def test_refusals(more: dict[str, Any], param: str) -> None:
    assert refusal("responses", {**ASK, **more}) == ("refused_field", param)


@pytest.mark.parametrize("more", [
    {"previous_response_id": None}, {"background": False}, {"conversation": None},
    {"prompt": None}, {"include": []}, {"tools": []},
])
def test_fields_that_say_nothing_pass(more: dict[str, Any]) -> None:
    assert refusal("responses", {**ASK, **more}) is None
    assert dropped("responses", {**ASK, **more}) == ()


def test_remote_mcp_is_the_operators_choice() -> None:
    tool = {"type": "mcp", "server_label": "x", "server_url": "https://x", "headers": {"b": "1"}}
    assert sent("responses", {**ASK, "tools": [tool]}, remote_mcp="on")["tools"] == [tool]
    tunnel = {**tool, "tunnel_id": "t"}
    assert refusal("responses", {**ASK, "tools": [tunnel]}, remote_mcp="on") == (
        "refused_field", "tools.tunnel_id")


def test_the_tool_that_makes_images_passes() -> None:
    tool = {"type": "image_generation", "model": "gpt-image-2", "size": "1024x1024"}
    body = {**ASK, "tools": [tool]}
    assert sent("responses", body)["tools"] == [tool]
    assert dropped("responses", body) == ()


@pytest.mark.parametrize(("item", "kept"), [
    ({"type": "message", "id": "msg_1", "role": "user", "content": "x"}, False),
    ({"id": "msg_1", "role": "assistant", "content": "x"}, False),
    ({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}, False),
    ({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}, False),
    ({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": ""}, False),
    ({"type": "computer_call", "id": "cu_1", "call_id": "c"}, True),
    ({"type": "web_search_call", "id": "ws_1"}, True),
    ({"type": "mcp_approval_request", "id": "m_1"}, True),
])
def test_ids_of_items(item: dict[str, Any], kept: bool) -> None:
    body = {**ASK, "input": [item]}
    assert ("id" in sent("responses", body)["input"][0]) is kept
    assert dropped("responses", body) == (() if kept else ("input.id",))


@pytest.mark.parametrize("status", ["failed", "generating", "in_progress"])
@pytest.mark.parametrize("more", [{"result": None}, {}])
def test_a_call_that_made_no_image_can_be_given_back(status: str, more: dict[str, Any]) -> None:
    """With its id the API would look for what is not stored, and answer 404."""
    call = {"type": "image_generation_call", "id": "ig_1", "status": status, **more,
            "error": {"type": "image_generation_user_error", "message": "no"}}
    said = {"role": "assistant", "content": "I cannot draw that."}
    body = {**ASK, "input": [call, said]}
    assert sent("responses", body)["input"] == [said]
    assert dropped("responses", body) == ("input.image_generation_call",)


def test_what_codex_adds_is_dropped() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    plain = {**ASK, "input": [item], "stream": True}
    codex = {
        **plain,
        "input": [{**item, "id": "msg_7", "internal_chat_message_metadata_passthrough": {
            "turn_id": "t", "create_time": 1.5}}],
        "client_metadata": {"session_id": "s"}, "store": False,
    }
    assert sent("responses", codex) == sent("responses", plain)
    assert ask("responses", codex).dropped == (
        "client_metadata", "input.id", "input.internal_chat_message_metadata_passthrough")


def test_what_an_application_notes_on_a_part_is_dropped() -> None:
    part = {"type": "input_text", "text": "hi"}
    body = {**ASK, "input": [{"role": "user", "content": [{**part, "id": "p", "chat_id": "c"}]}]}
    assert sent("responses", body)["input"] == [{"role": "user", "content": [part]}]
    assert dropped("responses", body) == ("input.content.chat_id", "input.content.id")


def test_location_is_dropped_from_search() -> None:
    tool = {"type": "web_search", "user_location": {"type": "approximate", "city": "X"}}
    assert sent("responses", {**ASK, "tools": [tool]})["tools"] == [{"type": "web_search"}]


def test_what_sdks_made_of_an_answer_stays_here() -> None:
    said = [{"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "{}", "parsed": {"city": "Paris"}}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
             "parsed_arguments": {"city": "Paris"}}]
    told = sent("responses", {**ASK, "input": said})["input"]
    assert told[0]["content"] == [{"type": "output_text", "text": "{}"}]
    assert told[1] == {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(("item", "empty"), [
    ({"type": "message", "role": "assistant", "content": []}, {"phase": None, "status": None}),
    ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
     {"status": None, "namespace": None, "caller": None, "async_": None}),
    ({"type": "reasoning", "summary": []},
     {"encrypted_content": None, "status": None, "content": None}),
    ({"type": "tool_search_call", "arguments": {}}, {"call_id": None, "status": None}),
    ({"type": "file_search_call", "id": "fs_1", "queries": ["q"]}, {"results": None}),
    ({"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "server_label": "s"},
     {"approval_request_id": None, "error": None, "output": None, "status": None}),
    ({"type": "mcp_list_tools", "id": "mcpl_1", "tools": [], "server_label": "s"},
     {"error": None}),
    ({"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
     {"environment": None}),
    ({"type": "apply_patch_call_output", "call_id": "c", "status": "completed"},
     {"output": None}),
    ({"type": "local_shell_call_output", "id": "lso_1", "output": ""}, {"status": None}),
])
def test_an_item_that_is_given_back_is_the_same_with_and_without_what_says_nothing(
    item: dict[str, Any], empty: dict[str, Any]
) -> None:
    """What the SDK dumps of it names all that its type knows."""
    body = {**ASK, "input": [{**empty, **item}]}
    assert sent("responses", body) == sent("responses", {**ASK, "input": [item]})
    assert dropped("responses", body) == ()


@pytest.mark.parametrize(("kind", "action", "empty"), [
    ("web_search_call", {"type": "search", "query": "q", "sources": [{"type": "url", "url": "u"}]},
     {"queries": None}),
    ("shell_call", {"commands": ["ls"]}, {"timeout_ms": None, "max_output_length": None}),
    ("local_shell_call", {"type": "exec", "command": ["ls"], "env": {"A": "b"}},
     {"user": None, "working_directory": None, "timeout_ms": None}),
])
def test_an_action_that_is_given_back_is_the_same_with_and_without_what_says_nothing(
    kind: str, action: dict[str, Any], empty: dict[str, Any]
) -> None:
    def asked(told: dict[str, Any]) -> object:
        return sent("responses", {**ASK, "input": [
            {"type": kind, "id": "x_1", "call_id": "c", "action": told}]})

    assert asked({**empty, **action}) == asked(action)
    assert asked(action)["input"][0]["action"] == action  # type: ignore[index]


def test_null_in_a_list_of_an_action_is_the_provider_s_to_judge() -> None:
    for action in ({"commands": ["ls", None]}, {"commands": [[None], {"a": [None]}]}):
        call = {"type": "shell_call", "call_id": "c", "action": action}
        assert sent("responses", {**ASK, "input": [call]})["input"] == [call]


def test_keys_of_an_action_that_has_to_name_them_may_be_null() -> None:
    action = {"keys": None, "type": "double_click", "x": 1, "y": 2}
    call = {"type": "computer_call", "id": "cu_1", "call_id": "c", "action": action}
    assert sent("responses", {**ASK, "input": [call]})["input"] == [call]


def test_what_a_part_or_an_item_must_say_may_be_nothing() -> None:
    part = {"type": "output_text", "text": "ok", "annotations": []}
    said = {"type": "message", "role": "assistant", "content": [part]}
    ran = {"type": "code_interpreter_call", "id": "ci_1", "code": None, "outputs": None}
    for more in ({"logprobs": []}, {"logprobs": None}, {"x": None}):
        told = [{**said, "content": [{**part, **more}]}, ran]
        assert sent("responses", {**ASK, "input": told})["input"] == [said, ran]


def test_who_made_an_item_is_not_told() -> None:
    """OpenAI names the entity that created a call or an output in its answers, not in requests."""
    output = [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    call = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    answer = {"type": "shell_call_output", "call_id": "c", "output": output}
    told = [{**call, "created_by": "user-1"},
            {**answer, "output": [{**output[0], "created_by": "user-1"}]}]
    assert sent("responses", {**ASK, "input": told}) == sent(
        "responses", {**ASK, "input": [call, answer]})
    assert dropped("responses", {**ASK, "input": told}) == (
        "input.content.created_by", "input.created_by")


def test_numbers_of_an_answer_that_is_given_back_have_one_spelling() -> None:
    def given_back(logprob: float) -> bytes:
        one = {"token": "a", "bytes": [97], "logprob": logprob}
        part = {"type": "output_text", "text": "a", "logprobs": [{**one, "top_logprobs": [one]}]}
        return json.dumps(sent("responses", {
            "model": "m", "input": [{"role": "assistant", "content": [part]}]})).encode()

    assert given_back(0.0) == given_back(0)
    assert b"-0.25" in given_back(-0.25)
