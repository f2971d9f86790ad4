"""Token usage as each API reports it, brought to one scale.

Law: only whole counts in [0, TOKENS_MAX] are taken; a report whose input or output figure is
anything else is no report, and an explicit zero is a zero. Parts (cached, cache-written,
reasoning, audio, image) are as reported. Nothing is ever summed over several reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from relayd.core.usage import TOKENS_MAX, Usage

Report = Mapping[str, object]
"""A usage object as parsed from JSON."""

Normalize = Callable[[Report], Usage | None]

_NOTHING: Final[Report] = {}
_FIGURES: Final = (
    "prompt_tokens", "input_tokens", "completion_tokens", "output_tokens",
    "promptTokenCount", "candidatesTokenCount", "prompt_eval_count", "eval_count",
)
_INPUT: Final = ("prompt_tokens", "input_tokens", "prompt_eval_count")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "eval_count")
"""`*eval_count`: Ollama's own words, which some that stand before it pass on."""
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS: Final = (
    "completion_tokens_details", "output_tokens_details", "output_token_details")
_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens",
                  "cache_read_input_tokens")

_SECONDS: Final = ("seconds", "prompt_audio_seconds")
"""Of sound that was heard; the second is Mistral's."""


def count_of(value: object) -> int | None:
    """A count that can be trusted, or None: no bool, no fraction, nothing below 0 or too large."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value <= TOKENS_MAX:
        return value
    return None


def seconds_of(value: object) -> int | None:
    """A time that can be trusted as whole seconds, rounded up; some write it as a string."""
    if isinstance(value, str) and len(value) < 20 and value.replace(".", "", 1).isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return math.ceil(value) if 0 <= value <= TOKENS_MAX else None


def openai_usage(report: Report) -> Usage | None:
    """OpenAI's APIs and all that speak them.

    Where the total exceeds input plus output by the audio input, or sound was heard of which there
    is no other figure, the input lacks it (Mistral); by anything else, the output lacks its
    reasoning (xAI's chat, Gemini's OpenAI endpoint): the output is then the total less the input.
    A transcription may be reported as `seconds` alone.
    """
    if len(report) == 3:
        plain = _plain(report)
        if plain is not None:
            return plain
    given = _figure(report, *_INPUT)
    made = _figure(report, *_OUTPUT)
    if given is None or made is None:
        return _without_figures(report)
    details = _details(report, _INPUT_DETAILS)
    made_details = _details(report, _OUTPUT_DETAILS)
    audio = _part(details, "audio_tokens")
    total = count_of(report.get("total_tokens")) or 0
    if not audio and report.get("prompt_audio_seconds") and _seconds(report):
        audio = max(total - given - made, 0)
    if audio and total == given + made + audio:
        given += audio
    cached = count_of(details.get("cached_tokens"))
    return Usage(
        input_tokens=given,
        output_tokens=max(made, total - given),
        cache_read_input_tokens=_first(report, _CACHED) if cached is None else cached,
        cache_creation_input_tokens=(
            _part(details, "cache_write_tokens")
            or _part(details, "cache_creation_input_tokens")  # DashScope
            or _part(details, "cache_creation_tokens")  # LiteLLM's proxy
            or _part(report, "cache_creation_input_tokens")),
        reasoning_output_tokens=_part(made_details, "reasoning_tokens"),
        audio_input_tokens=audio,
        audio_output_tokens=_part(made_details, "audio_tokens"),
        image_input_tokens=_part(details, "image_tokens"),
        image_output_tokens=_part(made_details, "image_tokens"),
        audio_seconds=_seconds(report),
        searches=_searches(report),
    )


def _searches(report: Report) -> int:
    """Searches of the web: OpenRouter writes them as Anthropic does, Perplexity and xAI do not."""
    own = _details(report, ("server_side_tool_usage_details",))
    return (_served(report) or _part(report, "num_search_queries")
            or _part(own, "web_search_calls") + _part(own, "x_search_calls"))


def _served(report: Report) -> int:
    return _part(_details(report, ("server_tool_use",)), "web_search_requests")


def _seconds(report: Report) -> int:
    for name in _SECONDS:
        value = seconds_of(report.get(name))
        if value is not None:
            return value
    return 0


def _without_figures(report: Report) -> Usage | None:
    """A report that names no figure where others do: seconds alone, or Cohere's `tokens`."""
    if any(report.get(name) is not None for name in (*_INPUT, *_OUTPUT)):
        return None
    for name in _SECONDS:
        seconds = seconds_of(report.get(name))
        if seconds is not None:
            return Usage(audio_seconds=seconds)
    tokens = report.get("tokens")
    if not isinstance(tokens, dict):
        return None
    given, made = count_of(tokens.get("input_tokens")), count_of(tokens.get("output_tokens"))
    if given is None or made is None:
        return None
    return Usage(
        given, made, _part(report, "cached_tokens"),
        reasoning_output_tokens=_part(tokens, "reasoning_tokens"),
        image_input_tokens=_part(tokens, "image_tokens"))


def _plain(report: Report) -> Usage | None:
    """The usual report of two figures and their sum, which needs no more looking."""
    given, made = report.get("prompt_tokens"), report.get("completion_tokens")
    if type(given) is not int or type(made) is not int or given < 0 or made < 0:
        return None
    if report.get("total_tokens") != given + made or given + made > TOKENS_MAX:
        return None
    return Usage(given, made)


def openai_input_usage(report: Report) -> Usage | None:
    """Embeddings and ranking: some report their total alone, which is then the input."""
    usage = openai_usage(report)
    if usage is None and "prompt_tokens" not in report and "input_tokens" not in report:
        total = count_of(report.get("total_tokens"))
        usage = None if total is None else Usage(input_tokens=total)
    return usage


def image_usage(report: Report) -> Usage | None:
    """OpenAI's images: without details all output is image."""
    usage = openai_usage(report)
    if usage is None or _details(report, _OUTPUT_DETAILS):
        return usage
    return msgspec.structs.replace(usage, image_output_tokens=usage.output_tokens)


def anthropic_usage(report: Report) -> Usage | None:
    """Anthropic's messages: `input_tokens` excludes what the cache gave and what was put in it.

    What a compaction used is in none of the totals, but billed: its entries in `iterations` are
    added (docs.anthropic.com, "Compaction").
    """
    usage = _anthropic(report)
    iterations = report.get("iterations")
    if usage is None or not isinstance(iterations, list):
        return usage
    for step in iterations:
        if isinstance(step, dict) and step.get("type") == "compaction":
            extra = _anthropic(step)
            if extra is not None:
                usage = _sum(usage, extra)
    return usage


def _anthropic(report: Report) -> Usage | None:
    fresh = _figure(report, "input_tokens")
    made = _figure(report, "output_tokens")
    if fresh is None or made is None:
        return None
    read = _part(report, "cache_read_input_tokens")
    by_time = _details(report, ("cache_creation",))
    hour = _part(by_time, "ephemeral_1h_input_tokens")
    written = count_of(report.get("cache_creation_input_tokens"))
    if written is None:
        written = hour + _part(by_time, "ephemeral_5m_input_tokens")
    return Usage(
        input_tokens=fresh + read + written,
        output_tokens=made,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        reasoning_output_tokens=_part(
            _details(report, ("output_tokens_details",)), "thinking_tokens"),
        cache_creation_1h_input_tokens=min(hour, written),
        searches=_served(report),
    )


def _sum(one: Usage, other: Usage) -> Usage:
    """The sum, unless it is too large to be trusted."""
    summed = one.plus(other)
    return summed if summed.input_tokens + summed.output_tokens <= TOKENS_MAX else one


def gemini_usage(report: Report) -> Usage | None:
    """Gemini: tool use is input, thoughts are output, and neither is in the other figures.

    The total is the sum of all four; a report without the prompt, as of some linked files, has it
    in the total alone.
    """
    given = _figure(report, "promptTokenCount")
    made = _figure(report, "candidatesTokenCount")
    if given is None or made is None:
        return None
    thoughts = _part(report, "thoughtsTokenCount")
    total = count_of(report.get("totalTokenCount")) or 0
    given += _part(report, "toolUsePromptTokenCount")
    if report.get("promptTokenCount") is None:
        given = max(given, total - made - thoughts)
    given_details = report.get("promptTokensDetails") or report.get("promptTokenDetails")
    tool_details = report.get("toolUsePromptTokensDetails")
    made_details = report.get("candidatesTokensDetails")
    return Usage(
        input_tokens=given,
        output_tokens=max(made + thoughts, total - given),
        cache_read_input_tokens=_part(report, "cachedContentTokenCount"),
        reasoning_output_tokens=thoughts,
        audio_input_tokens=(
            _modality(given_details, "AUDIO") + _modality(tool_details, "AUDIO")),
        audio_output_tokens=_modality(made_details, "AUDIO"),
        image_input_tokens=(
            _modality(given_details, "IMAGE") + _modality(tool_details, "IMAGE")),
        image_output_tokens=_modality(made_details, "IMAGE"),
    )


def overlaid(earlier: Report, later: Report) -> Report:
    """A later report of the same call over an earlier one, field by field.

    A field that the later one lacks, or gives as null or as a count that cannot be trusted, stays.
    """
    return {**earlier, **{
        key: value for key, value in later.items()
        if isinstance(value, (dict, list)) or count_of(value) is not None
    }}


def _figure(report: Report, *names: str) -> int | None:
    """The first of these that is given: 0 where the report has others, None where it is unusable.

    A report without any usable figure at all is unusable too.
    """
    for name in names:
        value = report.get(name)
        if value is not None:
            return count_of(value)
    return 0 if any(count_of(report.get(name)) is not None for name in _FIGURES) else None


def _details(report: Report, names: tuple[str, ...]) -> Report:
    for name in names:
        value = report.get(name)
        if isinstance(value, dict):
            return value
    return _NOTHING


def _part(report: Report, name: str) -> int:
    return count_of(report.get(name)) or 0


def _first(report: Report, names: tuple[str, ...]) -> int:
    for name in names:
        value = count_of(report.get(name))
        if value is not None:
            return value
    return 0


def _modality(details: object, modality: str) -> int:
    """Gemini's counts by modality: those of one."""
    if not isinstance(details, list):
        return 0
    return sum(
        _part(row, "tokenCount") for row in details
        if isinstance(row, dict) and row.get("modality") == modality
    )
