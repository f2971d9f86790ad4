"""Reported usage on one scale: every provider's own words, and figures that cannot be trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.usage import TOKENS_MAX, Usage
from relayd.wire.usage import (
    anthropic_usage,
    count_of,
    gemini_usage,
    image_usage,
    openai_input_usage,
    openai_usage,
    overlaid,
    seconds_of,
)

UNTRUSTED = [-1, True, False, [7], {}, "7", 7.5, TOKENS_MAX + 1, 1 << 63, 10 ** 400, 1e300,
             float("inf"), float("nan")]


@pytest.mark.parametrize("value", [0, 1, TOKENS_MAX])
def test_counts(value: int) -> None:
    assert count_of(value) == value and count_of(float(value)) == value


@pytest.mark.parametrize("value", [None, *UNTRUSTED])
def test_no_counts(value: object) -> None:
    assert count_of(value) is None


OPENAI: dict[str, tuple[dict[str, object], Usage | None]] = {
    "chat": (
        {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
         "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 2, "cache_write_tokens": 1},
         "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 1}},
        Usage(9, 4, 5, 1, 3, 2, 1)),
    "responses": (
        {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13,
         "input_tokens_details": {"cached_tokens": 5},
         "output_tokens_details": {"reasoning_tokens": 3}},
        Usage(9, 4, 5, 0, 3)),
    "transcription": (
        {"type": "tokens", "input_tokens": 37, "output_tokens": 12, "total_tokens": 49,
         "input_token_details": {"text_tokens": 0, "audio_tokens": 37}},
        Usage(37, 12, audio_input_tokens=37)),
    "seconds": ({"type": "duration", "seconds": 3}, Usage(audio_seconds=3)),
    "a part of a second": ({"type": "duration", "seconds": 3.2}, Usage(audio_seconds=4)),
    "no seconds": ({"type": "duration", "seconds": -3}, None),
    "mistral: seconds too": (
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "prompt_audio_seconds": 3},
        Usage(5, 1, audio_seconds=3)),
    "mistral: audio in the total alone": (
        {"prompt_audio_seconds": 5, "prompt_tokens": 5, "total_tokens": 404,
         "completion_tokens": 24, "prompt_tokens_details": {"cached_tokens": 368}},
        Usage(380, 24, 368, audio_input_tokens=375, audio_seconds=5)),
    "mistral: a total that lacks nothing": (
        {"prompt_audio_seconds": 30, "prompt_tokens": 150, "total_tokens": 192,
         "completion_tokens": 42, "prompt_tokens_details": None},
        Usage(150, 42, audio_seconds=30)),
    "mistral: seconds alone": (
        {"prompt_audio_seconds": 32, "total_tokens": 89, "request_count": 1},
        Usage(audio_seconds=32)),
    "mistral: no audio": (
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6,
         "prompt_audio_seconds": {}}, Usage(5, 1)),
    "searches, as OpenRouter has them": (
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6,
         "server_tool_use": {"web_search_requests": 2}}, Usage(5, 1, searches=2)),
    "perplexity: searches": (
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "num_search_queries": 7},
        Usage(5, 1, searches=7)),
    "xai: searches": (
        {"input_tokens": 5, "output_tokens": 1, "server_side_tool_usage_details": {
            "web_search_calls": 2, "x_search_calls": 3, "mcp_calls": 4}},
        Usage(5, 1, searches=5)),
    "no searches": (
        {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "num_search_queries": -1,
         "server_tool_use": {"web_search_requests": "2"}}, Usage(5, 1)),
    "images in, images out": (
        {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
         "prompt_tokens_details": {"image_tokens": 6},
         "completion_tokens_details": {"image_tokens": 3}},
        Usage(9, 4, image_input_tokens=6, image_output_tokens=3)),
    "realtime": (
        {"total_tokens": 253, "input_tokens": 132, "output_tokens": 121,
         "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "image_tokens": 0,
                                 "cached_tokens": 64,
                                 "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0}},
         "output_token_details": {"text_tokens": 30, "audio_tokens": 91}},
        Usage(132, 121, 64, 0, 0, 13, 91)),
    "ollama's own words": ({"prompt_eval_count": 9, "eval_count": 4}, Usage(9, 4)),
    "ollama with a cached prompt": ({"eval_count": 4}, Usage(0, 4)),
    "cohere": (
        {"billed_units": {"input_tokens": 3, "output_tokens": 4}, "cached_tokens": 5,
         "tokens": {"input_tokens": 9, "output_tokens": 4, "reasoning_tokens": 2}},
        Usage(9, 4, 5, 0, 2)),
    "cohere without figures": ({"tokens": {"input_tokens": 9}}, None),
    "embeddings": ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8)),
    "xai: reasoning outside": (
        {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 20,
         "completion_tokens_details": {"reasoning_tokens": 7}},
        Usage(9, 11, reasoning_output_tokens=7)),
    "gemini: thoughts outside": (
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}, Usage(35, 74)),
    "mistral: audio outside": (
        {"prompt_tokens": 5, "completion_tokens": 11, "total_tokens": 391,
         "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375}},
        Usage(380, 11, audio_input_tokens=375)),
    "deepseek": (
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 6,
         "prompt_cache_miss_tokens": 3}, Usage(9, 4, 6)),
    "moonshot": ({"prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 6}, Usage(9, 4, 6)),
    "mistral cache": ({"prompt_tokens": 9, "completion_tokens": 4, "num_cached_tokens": 6},
                      Usage(9, 4, 6)),
    "details first": (
        {"prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 6,
         "prompt_tokens_details": {"cached_tokens": 0}}, Usage(9, 4)),
    "vercel": ({"prompt_tokens": 9, "completion_tokens": 4, "cache_creation_input_tokens": 3},
               Usage(9, 4, 0, 3)),
    "dashscope": (
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {
            "cached_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 7},
            "cache_creation_input_tokens": 7, "cache_type": "ephemeral"}}, Usage(9, 4, 0, 7)),
    "litellm": (
        {"prompt_tokens": 9, "completion_tokens": 4, "cache_creation_input_tokens": 3,
         "cache_read_input_tokens": 5, "prompt_tokens_details": {"cache_creation_tokens": 3}},
        Usage(9, 4, 5, 3)),
    "databricks": (
        {"prompt_tokens": 9, "completion_tokens": 4, "cache_creation_input_tokens": 3,
         "cache_read_input_tokens": 5}, Usage(9, 4, 5, 3)),
    "written first": (
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {
            "cache_write_tokens": 2, "cache_creation_input_tokens": 7}}, Usage(9, 4, 0, 2)),
    "details null": (
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None,
         "completion_tokens_details": None}, Usage(9, 4)),
    "explicit zero": ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage()),
    "output alone": ({"completion_tokens": 4}, Usage(0, 4)),
    "total less than its parts": (
        {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 1}, Usage(9, 4)),
    "total alone": ({"total_tokens": 13}, None),
    "cost alone": ({"cost_in_usd_ticks": 5}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("name", OPENAI)
def test_openai(name: str) -> None:
    report, usage = OPENAI[name]
    assert openai_usage(report) == usage


@pytest.mark.parametrize(("value", "seconds"), [
    (0, 0), (3, 3), (3.0, 3), (3.01, 4), ("8.47", 9), ("7", 7), (TOKENS_MAX, TOKENS_MAX),
    (None, None), ("", None), (".", None), ("1e5", None), ("-1", None), ("9" * 400, None),
    *((value, None) for value in UNTRUSTED if value not in ("7", 7.5)), (7.5, 8),
])
def test_seconds(value: object, seconds: int | None) -> None:
    assert seconds_of(value) == seconds


@pytest.mark.parametrize(("report", "usage"), [
    ({"input_tokens": 50, "output_tokens": 272, "total_tokens": 322,
      "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}},
     Usage(50, 272, image_input_tokens=40, image_output_tokens=272)),
    ({"input_tokens": 50, "output_tokens": 272, "total_tokens": 322,
      "output_tokens_details": {"text_tokens": 72, "image_tokens": 200}},
     Usage(50, 272, image_output_tokens=200)),
    ({"cost_in_usd_ticks": 7}, None),
])
def test_images(report: dict[str, object], usage: Usage | None) -> None:
    assert image_usage(report) == usage


@pytest.mark.parametrize(("report", "usage"), [
    ({"total_tokens": 13}, Usage(13)),
    ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8)),
    ({"prompt_tokens": -8, "total_tokens": 8}, None),
    ({"input_tokens": -8, "total_tokens": 8}, None),
    ({"total_tokens": -13}, None),
    ({"search_units": 1}, None),
])
def test_input_alone(report: dict[str, object], usage: Usage | None) -> None:
    assert openai_input_usage(report) == usage


@pytest.mark.parametrize(("report", "usage"), [
    ({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100,
      "cache_creation_input_tokens": 20, "output_tokens_details": {"thinking_tokens": 4}},
     Usage(130, 5, 100, 20, 4)),
    ({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 20,
      "cache_creation": {"ephemeral_5m_input_tokens": 8, "ephemeral_1h_input_tokens": 12}},
     Usage(30, 5, 0, 20, cache_creation_1h_input_tokens=12)),
    ({"input_tokens": 10, "output_tokens": 5,
      "cache_creation": {"ephemeral_5m_input_tokens": 8, "ephemeral_1h_input_tokens": 12}},
     Usage(30, 5, 0, 20, cache_creation_1h_input_tokens=12)),
    ({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0,
      "cache_creation": {"ephemeral_1h_input_tokens": 12}}, Usage(10, 5)),
    ({"input_tokens": 23, "output_tokens": 1, "iterations": [
        {"type": "compaction", "input_tokens": 180, "output_tokens": 3,
         "cache_read_input_tokens": 20}, {"type": "message", "input_tokens": 23,
                                          "output_tokens": 1}, 7]},
     Usage(223, 4, 20)),
    ({"input_tokens": 23, "output_tokens": 1, "iterations": [
        {"type": "compaction", "input_tokens": TOKENS_MAX, "output_tokens": 3}] * 9},
     Usage(23, 1)),
    ({"input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": None}, Usage(10, 0)),
    ({"service_tier": "standard"}, None),
])
def test_anthropic(report: dict[str, object], usage: Usage | None) -> None:
    assert anthropic_usage(report) == usage


@pytest.mark.parametrize(("report", "usage"), [
    ({"promptTokenCount": 32, "candidatesTokenCount": 12, "thoughtsTokenCount": 42,
      "totalTokenCount": 93, "toolUsePromptTokenCount": 7, "cachedContentTokenCount": 8,
      "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30},
                              {"modality": "AUDIO", "tokenCount": 2}],
      "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}, 5]},
     Usage(39, 54, 8, 0, 42, 2, 1)),
    ({"promptTokenCount": 270, "candidatesTokenCount": 1300, "totalTokenCount": 1570,
      "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12},
                              {"modality": "IMAGE", "tokenCount": 258}],
      "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]},
     Usage(270, 1300, image_input_tokens=258, image_output_tokens=1290)),
    ({"promptTokenCount": 20, "candidatesTokenCount": 5, "toolUsePromptTokenCount": 300,
      "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}],
      "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258},
                                     {"modality": "AUDIO", "tokenCount": 32}]},
     Usage(320, 5, audio_input_tokens=40, image_input_tokens=258)),
    ({"promptTokenCount": 32, "totalTokenCount": 74, "thoughtsTokenCount": 42},
     Usage(32, 42, reasoning_output_tokens=42)),
    ({"promptTokenCount": 32, "candidatesTokenCount": 1, "totalTokenCount": 40}, Usage(32, 8)),
    ({"promptTokenCount": 5, "promptTokenDetails": {}}, Usage(5)),
    ({"promptTokenCount": 350, "promptTokenDetails": [
        {"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 88},
        {"modality": "IMAGE", "tokenCount": 258}]},
     Usage(350, 0, audio_input_tokens=88, image_input_tokens=258)),
    ({"candidatesTokenCount": 12, "thoughtsTokenCount": 3, "totalTokenCount": 500,
      "promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 485}]},
     Usage(485, 15, reasoning_output_tokens=3)),
    ({"candidatesTokenCount": 12, "toolUsePromptTokenCount": 7, "totalTokenCount": 519},
     Usage(507, 12)),
    ({"promptTokenCount": 0, "candidatesTokenCount": 12, "totalTokenCount": 20}, Usage(0, 20)),
    ({"candidatesTokenCount": 12, "toolUsePromptTokenCount": 7}, Usage(7, 12)),
    ({"candidatesTokenCount": 12, "totalTokenCount": 5}, Usage(0, 12)),
    ({"trafficType": "ON_DEMAND"}, None),
])
def test_gemini(report: dict[str, object], usage: Usage | None) -> None:
    assert gemini_usage(report) == usage


@pytest.mark.parametrize("value", UNTRUSTED)
def test_a_main_figure_that_cannot_be_trusted_spoils_the_report(value: object) -> None:
    assert openai_usage({"prompt_tokens": value, "completion_tokens": 3}) is None
    assert openai_usage({"prompt_tokens": 7, "completion_tokens": value}) is None
    for total in (1, 4, 8, value):  # with a total it is the usual report, which is read first
        assert openai_usage(
            {"prompt_tokens": value, "completion_tokens": 3, "total_tokens": total}) is None
        assert openai_usage(
            {"prompt_tokens": 7, "completion_tokens": value, "total_tokens": total}) is None
    assert openai_usage({"tokens": {"input_tokens": value, "output_tokens": 3}}) is None
    assert openai_usage({"tokens": {"input_tokens": 7, "output_tokens": value}}) is None
    assert anthropic_usage({"input_tokens": 7, "output_tokens": value}) is None
    assert gemini_usage({"promptTokenCount": value, "candidatesTokenCount": 3}) is None


@pytest.mark.parametrize("value", [None, *UNTRUSTED])
def test_a_part_that_cannot_be_trusted_is_none(value: object) -> None:
    openai = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": value,
              "prompt_tokens_details": {"cached_tokens": value}, "cached_tokens": value}
    assert openai_usage(openai) == Usage(7, 3)
    assert anthropic_usage(
        {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": value}) == Usage(7, 3)
    assert gemini_usage({"promptTokenCount": 7, "candidatesTokenCount": 3,
                         "thoughtsTokenCount": value, "promptTokensDetails": value}) == Usage(7, 3)


def test_a_later_report_lies_over_the_earlier_one() -> None:
    earlier = {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 5}
    later = {"input_tokens": None, "output_tokens": 9, "cache_read_input_tokens": -1,
             "output_tokens_details": {"thinking_tokens": 4}}
    assert overlaid(earlier, later) == {
        "input_tokens": 10, "output_tokens": 9, "cache_read_input_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 4}}
    assert overlaid(earlier, {"output_tokens": 0})["output_tokens"] == 0


FIGURES = st.sampled_from([
    "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens",
    "prompt_tokens_details", "cached_tokens", "promptTokenCount", "totalTokenCount",
    "candidatesTokenCount", "promptTokensDetails", "cache_read_input_tokens", "audio_tokens",
    "seconds", "tokens", "eval_count", "cache_creation", "ephemeral_1h_input_tokens", "iterations",
])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIGURES, inner, max_size=4),
    max_leaves=8)


@given(st.dictionaries(FIGURES, VALUES, max_size=8))
def test_no_report_makes_a_figure_that_is_none(report: dict[str, object]) -> None:
    for normalize in (openai_usage, openai_input_usage, anthropic_usage, gemini_usage,
                      image_usage):
        usage = normalize(report)
        if usage is not None:
            assert all(type(getattr(usage, name)) is int and 0 <= getattr(usage, name) <= 1 << 43
                       for name in usage.__struct_fields__)
