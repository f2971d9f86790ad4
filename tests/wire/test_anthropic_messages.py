"""POST /v1/messages and /v1/messages/count_tokens: the verdict of every field and block."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types import beta, message_create_params
from anthropic.types.beta import message_create_params as beta_params

from relayd.wire.anthropic_messages import user_of
from tests.wire.asking import annotations, ask, dropped, known, refusal, sent

ASK: dict[str, Any] = {
    "model": "claude-x", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9,
}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=x;"}
TEXT = {"type": "text", "text": "hi"}
SESSION = json.dumps({"device_id": "d", "account_uuid": "a", "session_id": "s1"})


def test_every_documented_field_has_a_verdict() -> None:
    params = annotations(
        message_create_params.MessageCreateParamsNonStreaming,
        message_create_params.MessageCreateParamsStreaming,
        beta_params.MessageCreateParamsNonStreaming, beta_params.MessageCreateParamsStreaming)
    assert params <= known("messages")
    assert annotations(beta.MessageCountTokensParams) <= known("count_tokens")


def test_order_and_stream() -> None:
    body = {"stream": True, "max_tokens": 9.0, "messages": [{"content": "hi", "role": "user"}],
            "model": "claude-x", "temperature": 1.0}
    found = sent("messages", body)
    assert json.dumps(found) == json.dumps({
        "model": "claude-x", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9,
        "temperature": 1, "stream": True})
    assert ask("messages", body).stream
    assert sent("messages", {**ASK, "stream": False}) == ASK


@pytest.mark.parametrize(("system", "wanted"), [
    ([BILLING, {"type": "text", "text": "be kind"}], [{"type": "text", "text": "be kind"}]),
    ([BILLING], None),
    ([{"type": "text", "text": "be kind"}, BILLING], "same"),
    ("be kind", "same"),
    ([], None),
    ("", None),
])
def test_the_billing_block_goes(system: object, wanted: object) -> None:
    wanted = system if wanted == "same" else wanted
    assert sent("messages", {**ASK, "system": system}).get("system") == wanted


@pytest.mark.parametrize(("more", "name"), [
    ({"metadata": {"user_id": "bob"}}, "metadata"),
    ({"diagnostics": {"previous_message_id": "m"}}, "diagnostics"),
    ({"fallbacks": [{"model": "claude-y"}]}, "fallbacks"),
    ({"fallback_credit_token": "t"}, "fallback_credit_token"),
    ({"system": [BILLING]}, "system.billing_header"),
    ({"tools": [{"type": "web_search_20260318", "name": "web_search",
                 "user_location": {"type": "approximate", "city": "X"}}]}, "tools.user_location"),
])
def test_what_is_dropped_is_named(more: dict[str, Any], name: str) -> None:
    assert dropped("messages", {**ASK, **more}) == (name,)
    assert "bob" not in str(sent("messages", {**ASK, **more}))


@pytest.mark.parametrize(("more", "param"), [
    ({"container": "c_1"}, "container"),
    ({"thread": {"type": "create"}}, "thread"),
    ({"billing_policy": {"type": "billing_policy", "bill_to": "user_profile"}}, "billing_policy"),
    ({"user_profile_id": "u"}, "user_profile_id"),
    ({"workspace_id": "w"}, "workspace_id"),
    ({"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, "mcp_servers"),
    ({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
     "messages.content.source.file"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t",
     "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]}]},
     "messages.content.source.file"),
    ({"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
     "messages.content.container_upload"),
])
def test_refusals(more: dict[str, Any], param: str) -> None:
    assert refusal("messages", {**ASK, **more}) == ("refused_field", param)


@pytest.mark.parametrize("more", [
    {"billing_policy": {"type": "billing_policy", "bill_to": "self"}}, {"mcp_servers": []},
    {"container": None}, {"service_tier": "standard_only"}, {"inference_geo": "eu"},
    {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
    {"output_config": {"effort": "high"}}, {"thinking": {"type": "adaptive"}},
])
def test_what_passes(more: dict[str, Any]) -> None:
    assert refusal("messages", {**ASK, **more}) is None
    assert dropped("messages", {**ASK, **more}) == ()


@pytest.mark.parametrize("operation", ["messages", "count_tokens"])
@pytest.mark.parametrize("more", [
    {"tools": []}, {"stop_sequences": []}, {"output_config": {}}, {"context_management": {}},
])
def test_what_says_nothing_tells_no_client(operation: str, more: dict[str, Any]) -> None:
    """Some clients write these members empty in every request, others leave them out."""
    assert sent(operation, {**ASK, **more}) == sent(operation, ASK)
    assert dropped(operation, {**ASK, **more}) == ()


def test_remote_mcp_is_the_operators_choice() -> None:
    servers = [{"name": "x", "type": "url", "url": "https://x", "authorization_token": "t"}]
    assert sent("messages", {**ASK, "mcp_servers": servers}, remote_mcp="on")[
        "mcp_servers"] == servers


def test_a_pseudonym_stands_for_the_end_user() -> None:
    body = {**ASK, "metadata": {"user_id": SESSION, "other": "x"}}
    found = sent("messages", body, end_user="account")["metadata"]
    assert list(found) == ["user_id"] and len(found["user_id"]) == 26
    assert sent("messages", ASK, end_user="account")["metadata"] == found
    later = {**ASK, "metadata": {"user_id": SESSION.replace("s1", "s2")}}
    one, two = (sent("messages", b, end_user="enduser")["metadata"] for b in (body, later))
    assert one == two != found


@pytest.mark.parametrize(("told", "lasting"), [
    (SESSION, "d|a"), ("bob", "bob"), ("{", "{"), ("[1]", "[1]"), ('{"\\ud83d"', '{"\\ud83d"'),
    ("{\ud83d", "{\ud83d"),
])
def test_the_lasting_part_of_a_user_id(told: str, lasting: str) -> None:
    assert user_of(told) == lasting


def test_tool_input_keeps_its_order_and_blocks_do_not() -> None:
    block = {"name": "f", "input": {"z": 1.0, "a": {"y": 1, "b": 2}}, "id": "t",
             "type": "tool_use"}
    body = {**ASK, "messages": [{"content": [block], "role": "assistant"}]}
    found = sent("messages", body)["messages"][0]["content"][0]
    assert json.dumps(found) == json.dumps({
        "type": "tool_use", "id": "t", "name": "f", "input": {"z": 1.0, "a": {"y": 1, "b": 2}}})


def test_a_count_takes_the_prompt_alone() -> None:
    assert sent("count_tokens", {**ASK, "metadata": {"user_id": "bob"}, "stream": True}) == {
        "model": "claude-x", "messages": ASK["messages"]}
    assert not ask("count_tokens", {**ASK, "stream": True}).stream


def test_what_the_sdk_made_of_an_answer_stays_here() -> None:
    block = {"type": "text", "text": "{}"}
    said = [{"role": "assistant", "content": [{**block, "parsed_output": {"city": "Paris"}}]}]
    told = sent("messages", {**ASK, "messages": said})
    assert told["messages"] == [{"role": "assistant", "content": [block]}]


@pytest.mark.parametrize(("block", "empty"), [
    ({"type": "text", "text": "ok"}, {"citations": None, "cache_control": None}),
    ({"type": "text", "text": "ok"}, {"citations": []}),
    ({"type": "tool_use", "id": "t", "name": "f", "input": {"a": None}},
     {"caller": None, "toolset_name": None}),
    ({"type": "tool_result", "tool_use_id": "t", "content": "ok"}, {"is_error": False}),
    ({"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True}, {}),
])
def test_a_block_that_is_given_back_is_the_same_with_and_without_what_says_nothing(
    block: dict[str, Any], empty: dict[str, Any]
) -> None:
    """What the SDK dumps of it names all that its version knows."""
    told, plain = ({**ASK, "messages": [{"role": "assistant", "content": [each]}]}
                   for each in ({**block, **empty}, block))
    assert sent("messages", told) == sent("messages", plain) == plain
    assert dropped("messages", told) == ()


def test_no_other_model_is_asked_for_advice() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    advisor = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus"}
    for operation in ("messages", "count_tokens"):
        body = {**ASK, "tools": [advisor, tool]}
        assert sent(operation, body)["tools"] == [tool]
        assert dropped(operation, body) == ("tools.advisor",)


@pytest.mark.parametrize("more", [
    {"type": "custom"}, {"type": None}, {"strict": None}, {"eager_input_streaming": None},
])
def test_a_tool_is_the_same_with_and_without_what_says_nothing(more: dict[str, Any]) -> None:
    tool = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    for operation in ("messages", "count_tokens"):
        assert sent(operation, {**ASK, "tools": [{**more, **tool}]})["tools"] == [tool]
    strict = {**tool, "strict": False, "eager_input_streaming": True}
    assert sent("messages", {**ASK, "tools": [strict]})["tools"] == [strict]


@pytest.mark.parametrize("kind", ["advisor", "fusion", "subagent"])
def test_openrouter_s_tools_ask_no_other_model_here_either(kind: str) -> None:
    other = {"type": f"openrouter:{kind}", "parameters": {"model": "dear"}}
    search = {"type": "openrouter:web_search", "parameters": {"user_location": {"city": "canary"}}}
    for operation in ("messages", "count_tokens"):
        assert "tools" not in sent(operation, {**ASK, "tools": [other]})
        body = {**ASK, "tools": [other, search]}
        assert sent(operation, body)["tools"] == [{**search, "parameters": {}}]
        assert set(dropped(operation, body)) == {
            f"tools.{kind}", "tools.parameters.user_location"}


@pytest.mark.parametrize(("more", "name"), [
    ({"tools": [{"name": "f", "input_schema": {}, "user_id": "bob"}]}, "tools.user_id"),
    ({"messages": [{"role": "user", "content": [{**TEXT, "metadata": {"user": "bob"}}]}]},
     "messages.content.metadata"),
])
def test_what_an_application_keeps_beside_is_dropped(more: dict[str, Any], name: str) -> None:
    assert "bob" not in json.dumps(sent("messages", {**ASK, **more}))
    assert dropped("messages", {**ASK, **more}) == (name,)


def test_what_neither_endpoint_takes_is_told_by_both() -> None:
    for operation in ("messages", "count_tokens"):
        assert refusal(operation, {**ASK, "container": "c"}) == ("refused_field", "container")
        assert refusal(operation, {**ASK, "thread": {"type": "create"}}) == (
            "refused_field", "thread")
        body = {**ASK, "diagnostics": {"previous_message_id": "msg_1"}, "fallbacks": [{}]}
        assert dropped(operation, body) == ("diagnostics", "fallbacks")


@pytest.mark.parametrize("around", [
    lambda added: added, lambda added: {"type": "compaction", "tool_changes": [added]},
])
def test_a_tool_defined_among_messages_is_one_of_tools(
    around: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    def body(tool: dict[str, Any]) -> dict[str, Any]:
        added = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}
        return {**ASK, "messages": [{"role": "user", "content": [around(added), TEXT]}]}

    search = {"type": "web_search_20260318", "name": "web_search"}
    placed = body({**search, "user_location": {"type": "approximate", "city": "canary"}})
    assert sent("messages", placed)["messages"] == body(search)["messages"]
    assert dropped("messages", placed) == ("tools.user_location",)
    advised = body({"type": "advisor_20260301", "name": "advisor", "model": "claude-opus"})
    assert "claude-opus" not in json.dumps(sent("messages", advised))
    assert dropped("messages", advised) == ("tools.advisor",)


def test_safeguards_are_asked_for_without_their_context() -> None:
    body = {**ASK, "safeguards": [{"type": "dangerous_tool_use",
                                   "classifier_context": {"session": "canary"}}]}
    assert sent("messages", body)["safeguards"] == [{"type": "dangerous_tool_use"}]
    assert dropped("messages", body) == ("safeguards.classifier_context",)
