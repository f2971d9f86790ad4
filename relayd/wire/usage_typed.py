"""Reports of usage that are decoded by type, which saves the walk over their names.

Law: a report of these types says what wire/usage.py makes of the same report as an object. What
does not fit them, a count that cannot be trusted for one, has to be decoded as an object.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import astuple

from relayd.core.usage import TOKENS_MAX, Usage
from relayd.wire.usage import anthropic_usage, openai_usage

_Trusted = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]
Count = _Trusted | None


class _Given(msgspec.Struct, gc=False):
    cached_tokens: Count = None
    cache_write_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None


class _Made(msgspec.Struct, gc=False):
    reasoning_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None


_NOTHING_GIVEN: Final = _Given()
_NOTHING_MADE: Final = _Made()


class OpenaiReport(msgspec.Struct, gc=False):
    """A report in the words of OpenAI's APIs: all the names that `openai_usage` asks for."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: _Given | None = None
    completion_tokens_details: _Made | None = None
    input_tokens: Count = None
    output_tokens: Count = None
    input_tokens_details: _Given | None = None
    output_tokens_details: _Made | None = None
    prompt_cache_hit_tokens: Count = None
    cached_tokens: Count = None
    num_cached_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    input_token_details: Any = None
    output_token_details: Any = None
    seconds: Any = None
    prompt_audio_seconds: Any = None
    server_tool_use: Any = None
    num_search_queries: Any = None
    server_side_tool_usage_details: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    tokens: Any = None
    prompt_token_count: Any = msgspec.field(name="promptTokenCount", default=None)
    candidates_token_count: Any = msgspec.field(name="candidatesTokenCount", default=None)

    def usage(self) -> Usage | None:
        """What `openai_usage` makes of the same report."""
        given = self.input_tokens if self.prompt_tokens is None else self.prompt_tokens
        made = self.output_tokens if self.completion_tokens is None else self.completion_tokens
        if (given is None or made is None or self.seconds is not None
                or self.prompt_audio_seconds is not None or self.input_token_details is not None
                or self.output_token_details is not None or self.server_tool_use is not None
                or self.num_search_queries is not None
                or self.server_side_tool_usage_details is not None):
            return openai_usage(msgspec.to_builtins(self))
        details = self.prompt_tokens_details or self.input_tokens_details or _NOTHING_GIVEN
        made_details = (
            self.completion_tokens_details or self.output_tokens_details or _NOTHING_MADE)
        audio = details.audio_tokens or 0
        total = self.total_tokens or 0
        if audio and total == given + made + audio:
            given += audio
        cached = details.cached_tokens
        return Usage(
            given,
            total - given if total > given + made else made,
            self._cached() if cached is None else cached,
            (details.cache_write_tokens or details.cache_creation_input_tokens
             or details.cache_creation_tokens or self.cache_creation_input_tokens or 0),
            made_details.reasoning_tokens or 0,
            audio,
            made_details.audio_tokens or 0,
            0,
            details.image_tokens or 0,
            made_details.image_tokens or 0,
        )

    def _cached(self) -> int:
        for value in (self.prompt_cache_hit_tokens, self.cached_tokens, self.num_cached_tokens):
            if value is not None:
                return value
        return self.cache_read_input_tokens or 0


class _ByTime(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _Thought(msgspec.Struct, gc=False):
    thinking_tokens: Count = None


class _Served(msgspec.Struct, gc=False):
    web_search_requests: Count = None


class AnthropicReport(msgspec.Struct, gc=False):
    """A report of Anthropic's messages: all the names that `anthropic_usage` asks for."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: _ByTime | None = None
    output_tokens_details: _Thought | None = None
    server_tool_use: _Served | None = None
    iterations: list[Any] | None = None
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_eval_count: Count = None
    eval_count: Count = None
    prompt_token_count: Count = msgspec.field(name="promptTokenCount", default=None)
    candidates_token_count: Count = msgspec.field(name="candidatesTokenCount", default=None)

    def over(self, earlier: AnthropicReport) -> AnthropicReport:
        """What `overlaid` makes of an earlier report of the same call and this one."""
        return AnthropicReport(*[
            old if new is None else new
            for new, old in zip(astuple(self), astuple(earlier), strict=True)])

    def usage(self) -> Usage | None:
        """What `anthropic_usage` makes of the same report."""
        fresh, made = self.input_tokens, self.output_tokens
        if fresh is None or made is None or self.iterations is not None:
            return anthropic_usage(msgspec.to_builtins(self))
        read = self.cache_read_input_tokens or 0
        written = self.cache_creation_input_tokens
        hour = 0
        by_time = self.cache_creation
        if by_time is not None:
            hour = by_time.ephemeral_1h_input_tokens or 0
            if written is None:
                written = hour + (by_time.ephemeral_5m_input_tokens or 0)
        if written is None:
            written = 0
        thought = self.output_tokens_details
        thinking = 0 if thought is None else thought.thinking_tokens or 0
        served = self.server_tool_use
        return Usage(fresh + read + written, made, read, written, thinking, 0, 0,
                     hour if hour < written else written, 0, 0, 0, 0,
                     0 if served is None else served.web_search_requests or 0)


class _Row(msgspec.Struct, gc=False):
    modality: Any = None
    token_count: Count = msgspec.field(name="tokenCount", default=None)


class GeminiReport(msgspec.Struct, gc=False, rename="camel"):
    """A report of Gemini that has both its main figures."""

    prompt_token_count: _Trusted
    candidates_token_count: _Trusted
    tool_use_prompt_token_count: Count = None
    thoughts_token_count: Count = None
    total_token_count: Count = None
    cached_content_token_count: Count = None
    prompt_tokens_details: list[_Row] | None = None
    candidates_tokens_details: list[_Row] | None = None
    tool_use_prompt_tokens_details: list[_Row] | None = None
    prompt_token_details: list[_Row] | None = None  # of embeddings

    def usage(self) -> Usage:
        """What `gemini_usage` makes of the same report."""
        given = self.prompt_token_count + (self.tool_use_prompt_token_count or 0)
        thoughts = self.thoughts_token_count or 0
        made = self.candidates_token_count + thoughts
        rest = (self.total_token_count or 0) - given
        audio_in, image_in = _modalities(
            self.prompt_tokens_details or self.prompt_token_details)
        audio_out, image_out = _modalities(self.candidates_tokens_details)
        if self.tool_use_prompt_tokens_details is not None:
            audio, image = _modalities(self.tool_use_prompt_tokens_details)
            audio_in, image_in = audio_in + audio, image_in + image
        return Usage(given, rest if rest > made else made, self.cached_content_token_count or 0, 0,
                     thoughts, audio_in, audio_out, 0, image_in, image_out)


def _modalities(rows: list[_Row] | None) -> tuple[int, int]:
    """Tokens of sound and of images."""
    audio = image = 0
    for row in rows or ():
        if row.modality == "AUDIO":
            audio += row.token_count or 0
        elif row.modality == "IMAGE":
            image += row.token_count or 0
    return audio, image


_GEMINI: Final = msgspec.json.Decoder(GeminiReport)


def gemini_report(data: bytes) -> GeminiReport | None:
    """The report in JSON; None where it has to be decoded as an object."""
    try:
        return _GEMINI.decode(data)
    except (ValueError, RecursionError):
        return None
