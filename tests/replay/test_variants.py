"""Where each provider puts its usage in a reply: one small reply each, cut wherever it may be."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given

from relayd.core.usage import Beside, Usage
from relayd.relay.tap import Report, tap_for
from relayd.wire.dialect import BY_OPERATION
from tests.fakes.splits import cut, one_by_one, places
from tests.fakes.texts import Texts

SSE = b"text/event-stream"
JSON = b"application/json"
TEXT = {"index": 0, "delta": {"content": "one"}, "finish_reason": None}
STOP = {"index": 0, "delta": {}, "finish_reason": "stop"}
DONE = b"data: [DONE]\n\n"


def openai(given_: int, made: int, **more: Any) -> dict[str, Any]:
    """A usage object in OpenAI's words."""
    return {"prompt_tokens": given_, "completion_tokens": made, "total_tokens": given_ + made,
            **more}


def events(*values: object, end: bytes = b"\n\n") -> bytes:
    """A stream of these, as data alone."""
    return b"".join(b"data: " + json.dumps(value).encode() + end for value in values)


def typed(*values: dict[str, Any]) -> bytes:
    """A stream of these, each named by its type."""
    return b"".join(b"event: %b\n%b" % (v["type"].encode(), events(v)) for v in values)


def chat(*usages: object) -> bytes:
    """A chat stream with one chunk of text per usage, the last one being the final chunk."""
    *first, last = usages
    return events(*({"choices": [TEXT], "usage": usage} for usage in first),
                  {"choices": [STOP], "usage": last}) + DONE


class Reply(NamedTuple):
    """A reply and what is to be read of it."""

    operation: str
    body: bytes
    usage: Usage | None
    error: str | None = None
    content_type: bytes = SSE


VARIANTS = {
    "openai: a chunk of its own, null before": Reply("chat", events(
        {"choices": [TEXT], "usage": None}, {"choices": [STOP], "usage": None},
        {"choices": [], "usage": openai(9, 4)}) + DONE, Usage(9, 4)),
    "openai: a chunk follows it": Reply("chat", events(
        {"choices": [STOP]}, {"choices": [], "usage": openai(9, 4)},
        {"choices": [], "usage": None, "moderation": {}}) + DONE, Usage(9, 4)),
    "azure: empty choices first": Reply("chat", events(
        {"choices": [], "model": "", "prompt_filter_results": []}, {"choices": [TEXT]},
        {"choices": [STOP]}, {"choices": [], "usage": openai(9, 4)}) + DONE, Usage(9, 4)),
    "deepseek: with the last chunk": Reply("chat", b": keep-alive\n\n" + chat(
        None, openai(9, 4, prompt_cache_hit_tokens=6, prompt_cache_miss_tokens=3)),
        Usage(9, 4, 6)),
    "mistral: with the last chunk": Reply("chat", events(
        {"choices": [TEXT]}, {"choices": [STOP], "usage": openai(9, 4, num_cached_tokens=6)})
        + DONE, Usage(9, 4, 6)),
    "groq: x_groq": Reply("chat", events(
        {"choices": [TEXT], "x_groq": {"id": "r"}},
        {"choices": [STOP], "x_groq": {"id": "r", "usage": openai(9, 4, queue_time=0.1)}}) + DONE,
        Usage(9, 4)),
    "groq: both": Reply("chat", events(
        {"choices": [STOP], "x_groq": {"usage": openai(8, 3)}, "usage": openai(9, 4)}) + DONE,
        Usage(9, 4)),
    "hugging face: twice": Reply("chat", events(
        {"choices": [STOP], "usage": openai(9, 3)}, {"choices": [], "usage": openai(9, 4)})
        + DONE, Usage(9, 4)),
    "openrouter: comments": Reply("chat", b": OPENROUTER PROCESSING\n\n" + chat(
        None, openai(9, 4, cost=0.1, is_byok=False,
                     prompt_tokens_details={"cached_tokens": 5, "cache_write_tokens": 2})),
        Usage(9, 4, 5, 2)),
    "openrouter: an error with usage": Reply("chat", events({"choices": [TEXT]}, {
        "choices": [{**STOP, "finish_reason": "error"}], "error": {"code": 502, "message": "x"},
        "usage": openai(9, 4)}) + DONE, Usage(9, 4), "provider_stream_error"),
    "perplexity: with every chunk": Reply("chat", events(
        *({"choices": [{**TEXT, "message": {"content": "one"}}], "usage": openai(9, made)}
          for made in (1, 2)), {"choices": [STOP], "usage": openai(9, 4)}, end=b"\r\n\r\n"),
        Usage(9, 4)),
    "vllm: with every chunk": Reply("chat", chat(openai(9, 0), openai(9, 1), openai(9, 4)),
                                    Usage(9, 4)),
    "moonshot: in the choice": Reply("chat", events(
        {"choices": [TEXT]}, {"choices": [{**STOP, "usage": openai(9, 4, cached_tokens=5)}]})
        + DONE, Usage(9, 4, 5)),
    "moonshot: in both": Reply("chat", events(
        {"choices": [{**STOP, "usage": openai(9, 4)}]},
        {"choices": [], "usage": openai(9, 4, cached_tokens=5)}) + DONE, Usage(9, 4, 5)),
    "dashscope": Reply("chat", events(
        {"choices": [STOP], "usage": None}, {"choices": [], "usage": openai(
            9, 4, completion_tokens_details={"reasoning_tokens": 3, "text_tokens": 1})}) + DONE,
        Usage(9, 4, 0, 0, 3)),
    "dashscope's own words, cumulative": Reply("chat", events(
        *({"output": {}, "usage": {"input_tokens": 9, "output_tokens": made,
                                   "total_tokens": 9 + made}} for made in (1, 4))), Usage(9, 4)),
    "ark": Reply("chat", chat(None, openai(
        9, 4, prompt_tokens_details={"cached_tokens": 2},
        completion_tokens_details={"reasoning_tokens": 3})), Usage(9, 4, 2, 0, 3)),
    "xai: reasoning is not in the completion": Reply("chat", chat(None, {
        **openai(9, 4), "total_tokens": 33,
        "completion_tokens_details": {"reasoning_tokens": 20}}),
        Usage(9, 24, 0, 0, 20)),
    "gemini over openai's api": Reply("chat", chat(None, {**openai(9, 4), "total_tokens": 33}),
                                      Usage(9, 24)),
    "minimax: its own failure": Reply(
        "chat", b'{"choices":null,"usage":%b,"base_resp":{"status_code":1008,"status_msg":"x"}}'
        % json.dumps(openai(0, 0)).encode(), Usage(), "provider_failed", JSON),
    "minimax: a success": Reply(
        "chat", json.dumps({"choices": [], "usage": openai(9, 4, total_characters=0),
                            "base_resp": {"status_code": 0}}).encode(), Usage(9, 4), None, JSON),
    "minimax: a total alone": Reply(
        "chat", b'{"choices":[],"usage":{"total_tokens":13}}', None, None, JSON),
    "ollama": Reply("chat", events(
        {"choices": [STOP]}, {"choices": [], "usage": openai(9, 4)}) + DONE, Usage(9, 4)),
    "ollama's own words": Reply(
        "chat", b'{"choices":[],"usage":{"prompt_eval_count":9,"eval_count":4}}', Usage(9, 4),
        None, JSON),
    "a zero that is meant": Reply("chat", chat(openai(9, 4), openai(0, 0)), Usage()),
    "nonsense after a report": Reply("chat", chat(openai(9, 4), [9, 4]), Usage(9, 4)),
    "nothing after a report": Reply("chat", chat(openai(9, 4), {}), Usage(9, 4)),
    "half a report after a whole one": Reply(
        "chat", chat(openai(9, 4), {"prompt_tokens": -1, "completion_tokens": 4}), Usage(9, 4)),
    "a report in other words after one": Reply(
        "chat", chat(openai(9, 3), {"input_tokens": 9, "output_tokens": 4}), Usage(9, 4)),
    "groq: over capacity": Reply("chat", events(
        {"choices": [TEXT]}, {"choices": [STOP], "x_groq": {"id": "r", "error": "x"}}) + DONE,
        None, "provider_stream_error"),
    "an event that is an error": Reply("chat", events(
        {"choices": [TEXT]}, {"object": "error", "message": "x", "code": 500}) + DONE,
        None, "provider_stream_error"),
    "minimax: its own failure, in a stream": Reply("chat", events(
        {"choices": [TEXT]}, {"choices": None, "usage": None,
                              "base_resp": {"status_code": 1002}}),
        None, "provider_stream_error"),
    "completions": Reply("completions", events(
        {"choices": [{"index": 0, "text": "one", "finish_reason": "stop"}], "usage": None},
        {"choices": [], "usage": openai(9, 4)}) + DONE, Usage(9, 4)),
    "responses: completed": Reply("responses", typed(
        {"type": "response.created", "response": {"usage": None}},
        {"type": "response.completed", "response": {"status": "completed", "usage": {
            "input_tokens": 9, "output_tokens": 4, "total_tokens": 13,
            "input_tokens_details": {"cached_tokens": 5},
            "output_tokens_details": {"reasoning_tokens": 3}}}}), Usage(9, 4, 5, 0, 3)),
    "responses: incomplete": Reply("responses", typed(
        {"type": "response.incomplete", "response": {"status": "incomplete", "usage": {
            "input_tokens": 9, "output_tokens": 4}}}), Usage(9, 4)),
    "responses: failed, with usage": Reply("responses", typed(
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "x"},
                                                 "usage": {"input_tokens": 9,
                                                           "output_tokens": 4}}}),
        Usage(9, 4), "provider_stream_error"),
    "responses: comments and [DONE]": Reply("responses", b": \n\n" + typed(
        {"type": "response.completed", "response": {"usage": {
            "input_tokens": 9, "output_tokens": 4, "cost": 0.1}}}) + DONE, Usage(9, 4)),
    "anthropic: the delta over the start": Reply("messages", typed(
        {"type": "message_start", "message": {"usage": {
            "input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 8,
                               "ephemeral_1h_input_tokens": 12}}}},
        {"type": "ping"},
        {"type": "message_delta", "usage": {
            "input_tokens": None, "output_tokens": 4, "cache_read_input_tokens": None}},
        {"type": "message_stop"}),
        Usage(129, 4, 100, 20, cache_creation_1h_input_tokens=12)),
    "anthropic: the delta revises the input": Reply("messages", typed(
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {
            "input_tokens": 900, "output_tokens": 40,
            "output_tokens_details": {"thinking_tokens": 30},
            "server_tool_use": {"web_search_requests": 1}}},
        {"type": "message_stop"}), Usage(900, 40, 0, 0, 30, searches=1)),
    "anthropic: twice": Reply("messages", typed(
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {"output_tokens": 3}},
        {"type": "message_delta", "usage": {"output_tokens": 4}},
        {"type": "message_stop"}), Usage(9, 4)),
    "anthropic: an error after the start": Reply("messages", typed(
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "error", "error": {"type": "overloaded_error"}}), Usage(9, 1),
        "provider_stream_error"),
    "anthropic: a compaction": Reply("messages", typed(
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {"output_tokens": 4, "iterations": [
            {"type": "compaction", "input_tokens": 180, "output_tokens": 30},
            {"type": "message", "input_tokens": 9, "output_tokens": 4}]}},
        {"type": "message_stop"}), Usage(189, 34)),
    "gemini: cumulative": Reply("stream_generate", events(
        {"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}},
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1,
                           "thoughtsTokenCount": 20, "totalTokenCount": 30}},
        {"candidates": [{"finishReason": "STOP"}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4,
                           "thoughtsTokenCount": 20, "totalTokenCount": 33}}, end=b"\r\n\r\n"),
        Usage(9, 24, 0, 0, 20)),
    "gemini: searches": Reply("stream_generate", events(
        {"candidates": [{"groundingMetadata": {"webSearchQueries": ["one"]}}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1}},
        {"candidates": [{"finishReason": "STOP",
                         "groundingMetadata": {"webSearchQueries": ["one", "two", ""]}}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}}),
        Usage(9, 4, searches=2)),
    "responses: searches": Reply("responses", typed(
        {"type": "response.output_item.done", "item": {
            "type": "web_search_call", "status": "completed", "action": {"type": "search"}}},
        {"type": "response.output_item.done", "item": {
            "type": "web_search_call", "status": "completed", "action": {"type": "open_page"}}},
        {"type": "response.completed", "response": {"status": "completed", "usage": {
            "input_tokens": 9, "output_tokens": 4}}}), Usage(9, 4, searches=1)),
    "vertex: what traffic it was": Reply("stream_generate", events(
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        {"candidates": [{"finishReason": "STOP"}],
         "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}},
        {"usageMetadata": {"trafficType": "ON_DEMAND"}}), Usage(9, 4)),
    "gemini: an array": Reply("stream_generate", json.dumps([
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1}},
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4,
                           "cachedContentTokenCount": 5}}], indent=1).encode(),
        Usage(9, 4, 5), None, JSON),
    "gemini: an error in an array": Reply("stream_generate", json.dumps([
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1}},
        {"error": {"code": 503}}]).encode(), Usage(9, 1), "provider_stream_error", JSON),
    "gemini: a blocked prompt": Reply("generate", json.dumps(
        {"promptFeedback": {"blockReason": "SAFETY"},
         "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}).encode(), Usage(9),
        None, JSON),
    "embeddings": Reply("embeddings", b'{"data":[],"usage":{"prompt_tokens":9,"total_tokens":9}}',
                        Usage(9), None, JSON),
    "rerank: cohere's meta": Reply("rerank", json.dumps(
        {"results": [], "meta": {"tokens": {"input_tokens": 9, "output_tokens": 0}}}).encode(),
        Usage(9), None, JSON),
    "images": Reply("image_generation", json.dumps(
        {"data": [{}, {}], "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13,
                                     "input_tokens_details": {"image_tokens": 6}}}).encode(),
        Usage(9, 4, image_input_tokens=6, image_output_tokens=4, images=2), None, JSON),
    "images: a stream": Reply("image_generation", typed(
        {"type": "image_generation.partial_image", "b64_json": "A"},
        {"type": "image_generation.completed", "b64_json": "A", "usage": {
            "input_tokens": 9, "output_tokens": 4}}),
        Usage(9, 4, image_output_tokens=4, images=1)),
    "images: without tokens": Reply("image_generation", b'{"data":[{"url":"x"}]}',
                                    Beside(images=1), None, JSON),
    "transcription: seconds": Reply(
        "transcription", b'{"text":"one","usage":{"type":"duration","seconds":7}}',
        Usage(audio_seconds=7), None, JSON),
    "transcription: verbose": Reply("transcription", b'{"text":"one","duration":7.2}',
                                    Usage(audio_seconds=8), None, JSON),
    "transcription: mistral": Reply("transcription", json.dumps({"text": "one", "usage": {
        "prompt_audio_seconds": 3, "prompt_tokens": 5, "completion_tokens": 11,
        "total_tokens": 391, "prompt_tokens_details": {"audio_tokens": 375}}}).encode(),
        Usage(380, 11, audio_input_tokens=375, audio_seconds=3), None, JSON),
    "speech: a stream": Reply("speech", typed(
        {"type": "speech.audio.delta", "audio": "A"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 9, "output_tokens": 4}}),
        Usage(9, 4)),
}


def read(reply: Reply, pieces: list[bytes], texts: Texts | None) -> Report:
    tap = tap_for(BY_OPERATION[reply.operation], reply.content_type, 200, withhold_usage=False,
                  counter=texts, limit=1 << 20)
    assert b"".join([tap.feed(piece) for piece in pieces]) + tap.flush() == reply.body
    return tap.finish(True)


@pytest.mark.parametrize("name", VARIANTS)
@given(where=places)
def test_usage_is_read(name: str, where: list[int]) -> None:
    reply = VARIANTS[name]
    for pieces in ([reply.body], cut(reply.body, where), one_by_one(reply.body)):
        for texts in (None, Texts()):
            report = read(reply, pieces, texts)
            assert (report.usage, report.error) == (reply.usage, reply.error)
