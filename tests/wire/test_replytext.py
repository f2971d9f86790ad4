"""What all readers share: numbers of texts, findings, and the second try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relayd.core.usage import NO_USAGE, Beside, Usage
from relayd.wire.mended import MENDED_BYTES_MAX
from relayd.wire.reply import SHAPES
from relayd.wire.reply_chat import read_chat
from relayd.wire.replytext import (
    ARGUMENTS,
    CONTENT,
    NAME,
    REASONING,
    Findings,
    stream_of,
    text_of,
)
from tests.fakes.texts import Texts


def test_texts_have_numbers_of_their_own() -> None:
    numbers = [
        stream_of(kind, choice, tool)
        for kind in (CONTENT, REASONING, ARGUMENTS, NAME) for choice in range(20)
        for tool in range(20)
    ]
    assert len(set(numbers)) == len(numbers) and stream_of(CONTENT) == 0


@pytest.mark.parametrize("index", [None, "1", 1.0, True, [1]])
def test_an_index_that_is_none_counts_as_0(index: object) -> None:
    assert stream_of(REASONING, index, index) == REASONING


def test_findings_take_text_only() -> None:
    texts = Texts()
    found = Findings(texts)
    for value in (None, "", 5, ["a"], {"a": 1}):
        found.text(value, CONTENT)
    assert not found.unreported and not texts.streams
    found.text("a", NAME, 1, 2)
    assert found.unreported and texts.streams == {stream_of(NAME, 1, 2): "a"}
    found.text("b", NAME, 1)
    found.text("c", NAME, 0, 2)
    found.text("d", NAME)
    assert texts.streams == {stream_of(NAME, 1, 2): "a", stream_of(NAME, 1): "b",
                             stream_of(NAME, 0, 2): "c", NAME: "d"}
    blind = Findings()
    blind.text("a", CONTENT)
    assert not blind.unreported


def test_the_last_usage_object_counts() -> None:
    found = Findings()
    assert found.usage_object() is None
    found.report({"a": 1})
    for value in (None, [7, 3], 7, "x"):
        found.report(value)
    assert found.usage_object() == {"a": 1}
    found.usage = b'{"a":2}'
    assert found.usage_object() == {"a": 2}
    found.report({"total_tokens": 3})
    for nothing in ({}, {"a": 3}, {"prompt_tokens": -1, "completion_tokens": 3}):
        found.unreported = True
        found.report(nothing)
        assert found.usage_object() == {"total_tokens": 3} and found.unreported
    for broken in (b"{", b"[]", b"[" * 100_000):
        found.usage = broken
        assert found.usage_object() is None


def test_failures_are_told_apart_by_where_they_are() -> None:
    stream, whole = Findings(), Findings(whole=True)
    stream.fail()
    whole.fail()
    assert (stream.error, whole.error) == ("provider_stream_error", "provider_failed")


def test_findings_show_no_text() -> None:
    found = Findings(Texts())
    found.text("canary", CONTENT)
    assert "canary" not in repr(found)


@pytest.mark.parametrize(("value", "text"), [
    (None, None), ("a", "a"), ({"a": "é"}, '{"a":"é"}'), ([], "[]"), (1, "1"),
])
def test_arguments_as_text(value: object, text: str | None) -> None:
    assert text_of(value) == text


def content(escaped: bytes) -> tuple[str, Findings]:
    texts = Texts()
    found = Findings(texts)
    read_chat(b'{"choices":[{"index":0,"delta":{"content":"%b"}}],"usage":{"prompt_tokens":7}}'
              % escaped, found)
    return texts.kind(CONTENT), found


@pytest.mark.parametrize(("escaped", "text"), [
    (rb"\ud83d\ude00", "\U0001f600"),
    (rb"a\ud83d", "a\ufffd"),
    (rb"\ude00b", "\ufffdb"),
    (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    (rb"\ud83d\n", "\ufffd\n"),
    (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
    (b"\xff", "\ufffd"),
])
def test_what_is_no_character_reads_as_one_unknown(escaped: bytes, text: str) -> None:
    seen, found = content(escaped)
    assert seen == text and SHAPES["chat"].usage(found) == Usage(7)


@pytest.mark.parametrize("texts", [Texts(), None])
@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b"Infinity", b'"NaN", "a": NaN'])
def test_what_is_no_number_costs_no_usage(texts: Texts | None, value: bytes) -> None:
    found = Findings(texts)
    read_chat(b'{"choices":[{"index":0,"delta":{"content":"NaN \\" Infinity"},"logprobs":%b}],'
              b'"usage":{"prompt_tokens":7}}' % value, found)
    assert SHAPES["chat"].usage(found) == Usage(7)
    assert texts is None or set(texts.kind(CONTENT).split("NaN ")) == {"", '" Infinity'}


@pytest.mark.parametrize("operation", sorted(set(SHAPES) - {"speech"}))
@pytest.mark.parametrize("odd", [rb"\ud83d", b"\xff", rb"\ude00\ud83d"])
@pytest.mark.parametrize("texts", [Texts(), None])
def test_no_character_costs_the_usage(operation: str, odd: bytes, texts: Texts | None) -> None:
    found = Findings(texts, True)
    usage = b'{"prompt_tokens":7,"input_tokens":7,"promptTokenCount":7}'
    SHAPES[operation].read(
        b'{"a":"%b","usage":%b,"usageMetadata":%b}' % (odd, usage, usage), found)
    assert SHAPES[operation].usage(found) == Usage(7)


@pytest.mark.parametrize("odd", [rb'"\ud83d"', b'"\xff"', b"NaN"])
@pytest.mark.parametrize(("operation", "reply", "usage"), [
    ("image_edit", b'{"data":[{"revised_prompt":%b},{}]}', Beside(images=2)),
    ("transcription", b'{"text":"a","duration":3.2,"segments":[%b]}',
     replace(NO_USAGE, audio_seconds=4)),
    ("rerank", b'{"results":[%b],"meta":{"billed_units":{"search_units":2}}}',
     Beside(searches=2)),
])
@pytest.mark.parametrize("texts", [Texts(), None])
def test_nor_does_it_cost_what_stands_beside_usage(
    operation: str, reply: bytes, usage: object, odd: bytes, texts: Texts | None
) -> None:
    found = Findings(texts, True)
    SHAPES[operation].read(reply % odd, found)
    assert SHAPES[operation].usage(found) == usage


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b"Infinity", b"[NaN, Infinity]"])
def test_each_word_for_no_number_is_enough(value: bytes) -> None:
    texts = Texts()
    found = Findings(texts)
    read_chat(b'{"choices":[{"index":0,"delta":{"content":"plain"},"logprobs":%b}],'
              b'"usage":{"prompt_tokens":7}}' % value, found)
    assert texts.kind(CONTENT) == "plain" and SHAPES["chat"].usage(found) == Usage(7)


@pytest.mark.parametrize("operation", ["chat", "messages", "responses", "generate", "embeddings"])
@pytest.mark.parametrize("texts", [Texts(), None])
def test_a_byte_order_mark_means_nothing(operation: str, texts: Texts | None) -> None:
    found = Findings(texts, True)
    usage = b'{"prompt_tokens":7,"input_tokens":7,"promptTokenCount":7}'
    SHAPES[operation].read(
        b'\xef\xbb\xbf{"usage":%b,"usageMetadata":%b}' % (usage, usage), found)
    assert SHAPES[operation].usage(found) == Usage(7)


def test_long_json_is_mended_for_its_usage_only() -> None:
    seen, found = content(b"\xff" + b"x" * MENDED_BYTES_MAX)
    assert seen == "" and SHAPES["chat"].usage(found) == Usage(7)


@pytest.mark.parametrize("data", [
    b"", b"{", b"not json", b"<html>", b"null", b"7", b"[]", b'"[DONE]"', b"\xff\xfe",
    b'{"choices":{}}', b'{"choices":[7]}', b'{"choices":[{"delta":7}]}',
    b'{"usage":' + b"1" * 5000 + b"}",
    b"[" * 100_000, b'{"usage":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"choices":' + b'[{"x":' * 50_000,
])
def test_what_cannot_be_read_is_not_read(data: bytes) -> None:
    for sink in (None, Texts()):
        found = Findings(sink)
        assert read_chat(data, found) is False
        assert (found.usage, found.ended, found.error) == (None, False, None)
        assert not found.unreported


def test_a_text_of_unknown_shape_does_not_hide_the_usage() -> None:
    found = Findings(Texts())
    read_chat(b'{"choices":[{"delta":[7],"finish_reason":"stop"}],"usage":{"a":1}}', found)
    assert found.ended and found.usage_object() == {"a": 1}


@given(st.binary(max_size=200))
def test_no_bytes_fail(data: bytes) -> None:
    read_chat(data, Findings(Texts()))
