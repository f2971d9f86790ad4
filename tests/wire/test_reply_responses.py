"""OpenAI responses: replies and events."""

from __future__ import annotations

import json

import pytest

from relayd.core.usage import Usage
from relayd.wire.reply import SHAPES
from relayd.wire.reply_responses import read_responses
from relayd.wire.replytext import ARGUMENTS, CONTENT, NAME, REASONING, Findings, stream_of
from tests.fakes.texts import Texts


def read(*values: object) -> tuple[Texts, Findings]:
    texts = Texts()
    found, blind = Findings(texts), Findings()
    for value in values:
        for each in (found, blind):
            assert read_responses(json.dumps(value).encode(), each) is False
    assert (blind.usage, blind.ended, blind.error, blind.images) == (
        found.usage, found.ended, found.error, found.images)
    return texts, found


@pytest.mark.parametrize(("name", "kind"), [
    ("output_text.delta", CONTENT),
    ("refusal.delta", CONTENT),
    ("reasoning_text.delta", REASONING),
    ("reasoning_summary_text.delta", REASONING),
    ("function_call_arguments.delta", ARGUMENTS),
    ("custom_tool_call_input.delta", ARGUMENTS),
    ("mcp_call_arguments.delta", ARGUMENTS),
    ("code_interpreter_call_code.delta", ARGUMENTS),
    ("shell_call_command.delta", ARGUMENTS),
    ("apply_patch_call_operation_diff.delta", ARGUMENTS),
    ("audio.transcript.delta", CONTENT),
])
def test_deltas(name: str, kind: int) -> None:
    event = {"type": "response." + name, "output_index": 2, "content_index": 1, "delta": "ab",
             "obfuscation": "xyz"}
    texts, _ = read(event, event)
    assert texts.kind(kind) == "abab" and len(texts.streams) == 1


@pytest.mark.parametrize("event", [
    {"type": "response.output_text.done", "text": "ab"},
    {"type": "response.audio.delta", "delta": "AAAA"},
    {"type": "response.content_part.done", "part": {"type": "output_text", "text": "ab"}},
    {"type": "response.output_item.done", "item": {"type": "function_call", "name": "f",
                                                   "arguments": "{}"}},
    {"type": "response.completed", "response": {"status": "completed", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "ab"}]}]}},
])
def test_what_repeats_text_is_not_read_for_it(event: object) -> None:
    assert not read(event)[0].streams


@pytest.mark.parametrize(("item", "text"), [
    ({"type": "local_shell_call", "action": {"type": "exec", "command": ["ls", "-l"]}}, "ls-l"),
    ({"type": "local_shell_call", "action": None}, ""),
    ({"type": "program", "call_id": "c", "code": "x()"}, "x()"),
])
def test_what_no_delta_brings_is_read_at_its_end(item: object, text: str) -> None:
    event = {"type": "response.output_item.added", "output_index": 1, "item": item}
    texts, _ = read(event, {**event, "type": "response.output_item.done"})
    assert texts.kind(ARGUMENTS) == text
    assert read({"output": [item]})[0].kind(ARGUMENTS) == text


def test_a_call_is_named_when_it_begins() -> None:
    texts, _ = read({"type": "response.output_item.added", "output_index": 1,
                     "item": {"type": "function_call", "name": "f", "arguments": ""}})
    assert texts.kind(NAME) == "f" and len(texts.streams) == 1


USAGE = {"input_tokens": 7, "output_tokens": 3}


def usage_of(found: Findings) -> Usage | None:
    return SHAPES["responses"].usage(found)


@pytest.mark.parametrize(("name", "ended", "error"), [
    ("created", False, None),
    ("in_progress", False, None),
    ("completed", True, None),
    ("incomplete", True, None),
    ("failed", True, "provider_stream_error"),
])
def test_how_a_stream_ends(name: str, ended: bool, error: str | None) -> None:
    reason = {"code": "server_error", "message": "x"} if error else None
    _, found = read({"type": "response." + name, "response": {
        "status": name, "usage": USAGE if ended else None, "error": reason,
        "instructions": "x"}})
    assert usage_of(found) == (Usage(7, 3) if ended else None)
    assert (found.ended, found.error) == (ended, error)


@pytest.mark.parametrize("odd", [{"total_tokens": -1}, {"input_tokens_details": []}])
def test_a_report_of_an_odd_form_is_read_as_far_as_it_can_be(odd: dict[str, object]) -> None:
    _, found = read({"type": "response.completed", "response": {"usage": {**USAGE, **odd}}})
    assert usage_of(found) == Usage(7, 3) and found.ended
    texts, found = read({"usage": {**USAGE, **odd}, "output": [
        {"type": "function_call", "name": "f", "arguments": "{}"}]})
    assert usage_of(found) == Usage(7, 3) and texts.kind(NAME) == "f"


def test_an_error_event() -> None:
    assert read({"type": "error", "code": "x", "message": "y"})[1].error == "provider_stream_error"


def test_done_is_an_end_too() -> None:
    found = Findings()
    read_responses(b"[DONE]", found)
    assert found.ended


def test_a_reply() -> None:
    texts, found = read({
        "object": "response", "status": "completed", "error": None, "usage": USAGE, "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
             "content": [{"type": "reasoning_text", "text": "so"}], "encrypted_content": "AAAA"},
            {"type": "message", "content": [{"type": "output_text", "text": "hi"},
                                            {"type": "refusal", "refusal": "no"}, 5]},
            {"type": "function_call", "name": "f", "arguments": '{"a":1}'},
            {"type": "custom_tool_call", "name": "g", "input": "x = 1"},
            {"type": "code_interpreter_call", "code": "1+1", "outputs": [{"logs": "2"}]},
            {"type": "web_search_call", "action": {"query": "q"}},
            {"type": "shell_call", "action": {"commands": ["ls", 5, "df"]}, "status": "completed"},
            {"type": "shell_call", "action": {"commands": 5}, "environment": None},
            {"type": "apply_patch_call", "operation": {"type": "create_file", "diff": "+x"}},
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "y"}},
        ]})
    assert texts.kind(CONTENT) == "hino" and sorted(texts.kind(REASONING)) == list("hmos")
    assert texts.kind(NAME) == "fg" and texts.kind(ARGUMENTS) == '{"a":1}x = 11+1lsdf+x'
    assert usage_of(found) == Usage(7, 3, searches=1) and found.error is None


def test_a_reply_that_failed() -> None:
    found = Findings(whole=True)
    read_responses(b'{"status":"failed","error":{"code":"x"},"output":[]}', found)
    assert found.error == "provider_failed"


def test_texts_of_several_parts_are_told_apart() -> None:
    event = {"type": "response.output_text.delta", "output_index": 2, "delta": "a"}
    summary = {"type": "response.reasoning_summary_text.delta", "output_index": 2, "delta": "b"}
    command = {"type": "response.shell_call_command.delta", "output_index": 2, "delta": "c"}
    texts, _ = read({**event, "content_index": 0}, {**event, "content_index": 1},
                    {**event, "content_index": 1}, {**summary, "summary_index": 0},
                    {**summary, "summary_index": 1}, {**command, "command_index": 0},
                    {**command, "command_index": 1}, {**command, "command_index": 1})
    assert texts.streams == {
        stream_of(CONTENT, 2, 0): "a", stream_of(CONTENT, 2, 1): "aa",
        stream_of(REASONING, 2, 0): "b", stream_of(REASONING, 2, 1): "b",
        stream_of(ARGUMENTS, 2, 0): "c", stream_of(ARGUMENTS, 2, 1): "cc"}


@pytest.mark.parametrize(("response", "fails"), [
    ({"status": "failed"}, True), ({"status": "failed", "error": None}, True),
    ({"status": "incomplete", "error": {"code": "x"}}, True), ({"status": "completed"}, False),
])
def test_either_word_for_a_failure_is_enough(response: dict[str, object], fails: bool) -> None:
    for event in (response, {"type": "response.completed", "response": response}):
        assert (read(event)[1].error is not None) is fails


IMAGE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}


@pytest.mark.parametrize(("values", "images"), [
    ([{"output": [IMAGE, {"type": "message", "content": []}, IMAGE], "usage": USAGE}], 2),
    ([{"output": [{**IMAGE, "status": "failed"}], "usage": USAGE}], 0),
    ([{"output": [], "usage": USAGE}], 0),
    ([{"type": "response.output_item.added", "item": {**IMAGE, "result": None}},
      {"type": "response.image_generation_call.in_progress"},
      {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"},
      {"type": "response.image_generation_call.completed"},
      {"type": "response.output_item.done", "item": IMAGE},
      {"type": "response.completed", "response": {"output": [IMAGE], "usage": USAGE}}], 1),
])
def test_images_that_a_tool_made_are_counted_beside_the_usage(
    values: list[object], images: int,
) -> None:
    _, found = read(*values)
    assert found.images == images
    assert usage_of(found) == Usage(input_tokens=7, output_tokens=3, images=images)


SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed",
          "action": {"type": "search", "query": "x"}}


def _done(item: dict[str, object]) -> dict[str, object]:
    return {"type": "response.output_item.done", "output_index": 0, "item": item}


@pytest.mark.parametrize(("values", "searches"), [
    ([{"output": [SEARCH, {"type": "message", "content": []}, SEARCH], "usage": USAGE}], 2),
    ([{"output": [{**SEARCH, "status": "failed"}], "usage": USAGE}], 0),
    ([{"output": [{**SEARCH, "action": {"type": "open_page", "url": "x"}}], "usage": USAGE}], 0),
    ([{"output": [{"type": "web_search_call", "id": "x"}], "usage": USAGE}], 1),
    ([{"output": [{**SEARCH, "action": None}], "usage": USAGE}], 1),
    ([{"output": [SEARCH, {**IMAGE, "status": "failed", "action": "edit"}], "usage": USAGE}], 1),
    ([{"type": "response.output_item.added", "item": {**SEARCH, "status": "in_progress"}},
      {"type": "response.web_search_call.completed", "item_id": "ws_1"},
      _done(SEARCH), _done({**SEARCH, "action": {"type": "find_in_page"}}),
      _done({"type": "message", "content": [{"text": '"web_search_call"'}]}), _done(SEARCH),
      {"type": "response.completed", "response": {"output": [SEARCH], "usage": USAGE}}], 2),
])
def test_searches_are_counted_beside_the_usage(values: list[object], searches: int) -> None:
    _, found = read(*values)
    assert usage_of(found) == Usage(input_tokens=7, output_tokens=3, searches=searches)


@pytest.mark.parametrize(("told", "searches"), [
    ({"web_search": {"num_requests": 1}, "image_gen": {"total_tokens": 0}}, 1),
    ({"web_search": {"num_requests": 3}}, 3), ({"web_search": {"num_requests": 0}}, 0),
    ({"web_search": {"num_requests": "1"}}, 2), ({"web_search": []}, 2), ([], 2), (None, 2),
])
def test_how_many_searches_are_billed_is_what_openai_says(told: object, searches: int) -> None:
    reply = {"usage": USAGE, "tool_usage": told, "output": [SEARCH, SEARCH]}
    for values in ([reply], [
            {"type": "response.created", "response": {"usage": None, "tool_usage": told}},
            _done(SEARCH), _done(SEARCH), {"type": "response.completed", "response": reply}]):
        _, found = read(*values)
        assert usage_of(found) == Usage(input_tokens=7, output_tokens=3, searches=searches)


def test_searches_that_the_usage_tells_of_are_not_counted_too() -> None:
    told = {**USAGE, "server_side_tool_usage_details": {"web_search_calls": 3}}
    _, found = read({"output": [SEARCH], "usage": told})
    assert usage_of(found) == Usage(input_tokens=7, output_tokens=3, searches=3)


@pytest.mark.parametrize("output", [
    [None], ["x"], [{"type": 5}], "x", {"type": "message"}, [IMAGE, 5],
])
def test_what_is_odd_in_a_replys_output_hides_no_usage(output: object) -> None:
    for found in (Findings(), Findings(Texts())):
        read_responses(json.dumps({"output": output, "usage": USAGE}).encode(), found)
        assert usage_of(found) == Usage(input_tokens=7, output_tokens=3)
