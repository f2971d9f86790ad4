"""A report that is decoded by type says the same as one that is decoded as an object."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relayd.core.usage import TOKENS_MAX, Usage
from relayd.wire.usage import anthropic_usage, gemini_usage, openai_usage, overlaid
from relayd.wire.usage_typed import AnthropicReport, GeminiReport, OpenaiReport, gemini_report
from tests.wire.test_usage import OPENAI, UNTRUSTED


SLOW = ("iterations", "seconds", "prompt_audio_seconds", "input_token_details",
        "output_token_details", "server_side_tool_usage_details", "num_search_queries")
"""With one of these a report is read as an object."""


def names(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


FITS = st.integers(0, 400) | st.none()
COUNTS = FITS | st.integers(0, 400).map(float)
ODD = st.sampled_from(UNTRUSTED[:10])


def details(counts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.dictionaries(st.sampled_from([
        "cached_tokens", "cache_write_tokens", "cache_creation_input_tokens",
        "cache_creation_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "text_tokens",
        "thinking_tokens", "ephemeral_5m_input_tokens",
        "ephemeral_1h_input_tokens", "web_search_requests", "web_search_calls",
    ]), counts)


def rows(counts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.fixed_dictionaries({}, optional={
        "modality": st.sampled_from(["AUDIO", "IMAGE", "TEXT", None, 7]), "tokenCount": counts}),
        max_size=4)


def reports(kind: type[msgspec.Struct], main: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Reports that fit the types, such as mostly do, and such as have anything anywhere."""
    def usual(counts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(dict.fromkeys(main, counts), optional={
            name: rows(counts) if name.endswith("Details") else
            details(counts) if "details" in name or name in ("cache_creation", "server_tool_use")
            else counts
            for name in names(kind) if name not in (*main, *SLOW)})

    anything = st.dictionaries(
        st.sampled_from([*names(kind), "cost"]), COUNTS | details(COUNTS) | rows(COUNTS) | ODD,
        max_size=6)
    return usual(FITS.filter(lambda count: count is not None)) | usual(COUNTS) | anything


def lean(report: dict[str, Any], kind: Any) -> Any:
    """The typed report; None where a reader decodes it as an object."""
    try:
        return msgspec.json.decode(json.dumps(report), type=kind)
    except msgspec.ValidationError:
        return None


@pytest.mark.parametrize("name", OPENAI)
def test_openai(name: str) -> None:
    report, usage = OPENAI[name]
    assert lean(report, OpenaiReport).usage() == usage


@given(reports(OpenaiReport, ["prompt_tokens", "completion_tokens"]))
@example({"prompt_tokens": 5, "completion_tokens": 11, "total_tokens": 391,
          "prompt_tokens_details": {"audio_tokens": 375}})
def test_any_report_of_openai(report: dict[str, Any]) -> None:
    typed = lean(report, OpenaiReport)
    assert typed is None or typed.usage() == openai_usage(report)


@given(reports(AnthropicReport, ["input_tokens", "output_tokens"]))
@example({"input_tokens": 9, "output_tokens": 4, "cache_creation_input_tokens": 5,
          "cache_creation": {"ephemeral_1h_input_tokens": 12}})
@example({"input_tokens": 9, "output_tokens": 4, "cache_creation_input_tokens": 5})
@example({"input_tokens": 9, "output_tokens": 4, "cache_creation": {
    "ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 2}})
@example({"input_tokens": 9, "output_tokens": 4, "cache_creation": {
    "ephemeral_1h_input_tokens": 2}})
@example({"input_tokens": 9, "output_tokens": 4, "output_tokens_details": {}})
@example({"input_tokens": 9, "output_tokens": 4, "server_tool_use": {"web_search_requests": 2}})
@example({"input_tokens": 9, "output_tokens": 4, "iterations": [
    {"type": "compaction", "input_tokens": 180, "output_tokens": 3}]})
def test_any_report_of_anthropic(report: dict[str, Any]) -> None:
    typed = lean(report, AnthropicReport)
    assert typed is None or typed.usage() == anthropic_usage(report)


@given(*[reports(AnthropicReport, ["output_tokens"])] * 2)
@example({"iterations": [], "input_tokens": 3}, {"iterations": None, "output_tokens": 4})
def test_a_later_report_lies_over_the_earlier_one(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    first, second = lean(earlier, AnthropicReport), lean(later, AnthropicReport)
    if first is not None and second is not None:
        assert second.over(first).usage() == anthropic_usage(overlaid(earlier, later))


@given(reports(GeminiReport, ["promptTokenCount", "candidatesTokenCount"]))
@example({"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 90})
@example({"promptTokenCount": 9, "candidatesTokenCount": 4, "cachedContentTokenCount": 3,
          "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2},
                                  {"modality": "IMAGE", "tokenCount": 5},
                                  {"modality": "IMAGE", "tokenCount": 1}],
          "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2},
                                         {"modality": "IMAGE", "tokenCount": 7}]})
def test_any_report_of_gemini(report: dict[str, Any]) -> None:
    typed = gemini_report(json.dumps(report).encode())
    assert typed is None or typed.usage() == gemini_usage(report)


def test_a_gemini_report_that_is_none() -> None:
    for data in (b"", b"{", b"[]", b'{"promptTokenCount":1}', b"[" * 9000,
                 b'{"promptTokenCount":1,"candidatesTokenCount":-1}'):
        assert gemini_report(data) is None
    assert gemini_report(b'{"promptTokenCount":1,"candidatesTokenCount":2}') is not None


@pytest.mark.parametrize("value", [TOKENS_MAX + 1, -1, True, "7", 1.5])
def test_what_cannot_be_trusted_does_not_fit(value: object) -> None:
    assert lean({"prompt_tokens": value}, OpenaiReport) is None
    assert lean({"output_tokens": value}, AnthropicReport) is None


@pytest.mark.parametrize(("kind", "normalize", "some"), [
    (OpenaiReport, openai_usage, [{"prompt_tokens": 1, "completion_tokens": 1}, {"tokens": {}}]),
    (AnthropicReport, anthropic_usage, [{"input_tokens": 1, "output_tokens": 1}]),
])
def test_all_names_that_are_asked_for_are_in_the_type(
    kind: type[msgspec.Struct], normalize: Callable[[Any], Usage | None],
    some: list[dict[str, Any]],
) -> None:
    asked: set[str] = set()

    class Asked(dict[str, Any]):
        def get(self, name: str, default: object = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    for report in ({}, *some):
        normalize(Asked(report))
    assert asked == set(names(kind))
