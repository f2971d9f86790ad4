"""The table of readers: every operation has its row, or bills nothing."""

from __future__ import annotations

import json

import pytest

from relayd.core.usage import Beside, Usage
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.reply import DULL, SHAPES
from relayd.wire.replytext import Findings
from tests.fakes.texts import Texts

COUNTING = {"count_tokens", "count"}


def test_all_operations_but_the_counting_ones_are_read() -> None:
    assert set(SHAPES) == set(BY_OPERATION) - COUNTING


REPLIES = {
    "openai": b'{"usage":{"prompt_tokens":7,"completion_tokens":3}}',
    "anthropic": b'{"usage":{"input_tokens":5,"output_tokens":3,"cache_read_input_tokens":2}}',
    "gemini": b'{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":1,'
              b'"thoughtsTokenCount":2}}',
}


@pytest.mark.parametrize("operation", SHAPES)
def test_usage_by_the_api_of_the_operation(operation: str) -> None:
    shape = SHAPES[operation]
    found = Findings(whole=True)
    assert shape.usage(found) is None
    reply = REPLIES[BY_OPERATION[operation].api]
    if operation == "responses":
        reply = b'{"usage":{"input_tokens":7,"output_tokens":3}}'
    shape.read(reply, found)
    usage = shape.usage(found)
    assert usage is not None and (usage.input_tokens, usage.output_tokens) == (7, 3)


STRANGE = {"type": [], "name": {}, "text": 5, "delta": {"type": {}}, "content": [{"type": []}],
           "output": [{"type": {}}], "item": {"type": []}, "response": {"status": []},
           "choices": [{"index": [], "finish_reason": {}, "delta": {"content": {}}}],
           "candidates": [{"index": {}, "finishReason": [], "content": {"parts": [{}]}}],
           "data": [{"type": []}], "meta": {"tokens": []}}
USUAL_TYPES = ("message", "content_block_start", "response.output_item.added")


@pytest.mark.parametrize("operation", SHAPES)
@pytest.mark.parametrize("whole", [True, False])
def test_values_of_other_types_than_they_have_fail_no_reply(operation: str, whole: bool) -> None:
    shape = SHAPES[operation]
    for name, value in STRANGE.items():
        for kind in ([], {}, 5, None, *USUAL_TYPES):
            for texts in (Texts(), None):
                found = Findings(texts, whole)
                shape.read(json.dumps({"type": kind, name: value}).encode(), found)
                assert shape.usage(found) in (None, Beside(images=1)), name
                assert texts is None or not texts.streams


@pytest.mark.parametrize(("operation", "name"), [
    (operation, name) for operation, names in DULL.items() for name in names])
def test_dull_events_have_names_that_bring_nothing_but_text(operation: str, name: str) -> None:
    event = json.dumps({
        "type": name, "delta": {"text": "a"} if operation == "messages" else "a"}).encode()
    found = Findings(Texts())
    SHAPES[operation].read(event, found)
    assert found.unreported and not found.ended and found.usage is None
    dull = SHAPES[operation].dull
    whole = b"event: %b\ndata: %b\n\n" % (name.encode(), event)
    assert dull is not None and dull.fullmatch(whole * 3)
    assert SHAPES[operation].telling.findall(whole + b"data: x\n\n") == [b"", b"x"]
    for other in (whole[:-1], whole[:-1] + b"id: 1\n\n", whole.replace(b"\n", b"\r\n"),
                  whole.replace(b"\nd", b"x\nd"), b"x" + whole):
        assert dull.match(other) is None


def test_operations_have_dull_events_by_the_table_alone() -> None:
    assert {name for name, shape in SHAPES.items() if shape.dull is not None} == set(DULL)


@pytest.mark.parametrize("operation", ["embeddings", "moderations", "rerank"])
def test_a_total_alone_is_input_where_there_is_no_output(operation: str) -> None:
    found = Findings(whole=True)
    SHAPES[operation].read(b'{"usage":{"total_tokens":7}}', found)
    assert SHAPES[operation].usage(found) == Usage(7)


@pytest.mark.parametrize(("operation", "reply", "usage"), [
    ("image_generation", b'{"data":[{"url":"a"},{"url":"b"}]}', Beside(images=2)),
    ("image_edit", b'{"data":[{}],"usage":{"input_tokens":7,"output_tokens":3}}',
     Usage(7, 3, image_output_tokens=3, images=1)),
    ("image_generation", b'{"data":[{}],"usage":{"input_tokens":7,"output_tokens":3},"svg_usage":'
     b'{"model":"m","input_tokens":5,"output_tokens":4,"reasoning_tokens":2,"total_tokens":9}}',
     Usage(12, 7, reasoning_output_tokens=2, image_output_tokens=3, images=1)),
    ("image_generation", b'{"data":[{}],"svg_usage":{"input_tokens":5,"output_tokens":4}}',
     Usage(5, 4, images=1)),
    ("image_generation", b'{"data":[{}],"svg_usage":{"input_tokens":-1}}', Beside(images=1)),
    ("image_generation", b'{"data":[],"created":1}', None),
    ("responses", b'{"output":[{"type":"web_search_call"}]}', Beside(searches=1)),
    ("generate", b'{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"]}}]}',
     Beside(searches=1)),
    ("transcription", b'{"text":"a","duration":8.47}', Usage(audio_seconds=9)),
    ("translation", b'{"text":"a","duration":8.47,"usage":{"type":"duration","seconds":8}}',
     Usage(audio_seconds=8)),
    ("transcription", b'{"text":"a"}', Beside(audio_seconds=1)),
    ("translation", b'{"text":"0123456789ABCDEF","x_groq":{"id":"r"}}', Beside(audio_seconds=2)),
    ("translation", '{"text":"\u4f60\u597d\u4f60\u597d\u4f60\u597d"}'.encode(),
     Beside(audio_seconds=2)),
    ("transcription", b'{"text":"a","usage":{"input_tokens":7,"output_tokens":3}}', Usage(7, 3)),
    ("transcription", b'{"text":"","usage":null}', None),
    ("transcription", b'{"text":null}', None),
])
def test_what_is_no_token_is_usage_too(operation: str, reply: bytes, usage: Usage | None) -> None:
    found = Findings(whole=True)
    SHAPES[operation].read(reply, found)
    assert SHAPES[operation].usage(found) == usage
