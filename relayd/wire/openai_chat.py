"""The fields of POST /v1/chat/completions (type definitions of openai-python 3.57)."""

from __future__ import annotations

import re
from typing import Final

from relayd.core.errors import RelayError
from relayd.wire.extent import opened, picture, untold
from relayd.wire.fields import (
    GONE, Act, Shape, Table, by_name, copies, drop, filled, flag_stream, items, number, refuse,
    said, silent,
)
from relayd.wire.openai_tools import (
    AMONG_TOOLS, CACHE_BREAKPOINT, CACHE_OPTIONS, END_USER, FORMAT, FUNCTION, TOOLS, cache_key,
    cache_retention, choices, end_user, leave_choice, stream_options, streaming,
)
from relayd.wire.tier import tier
from relayd.wire.walk import Walk

_FILE: Final = Shape({
    "filename": None, "file_data": None, "file_id": refuse("messages.content.file.file_id"),
}).put

_ELSEWHERE: Final = re.compile(r"\s*(?!https?:|data:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def _address(name: str) -> Act:
    """A file's address, or an object that has it as `url`: what the whole world can read, or the
    file itself, passes; the operator's files at the provider (`ms://` of Moonshot, `oss://` of
    Alibaba) and those of its machine do not."""
    def act(value: object, walk: Walk) -> object:
        where = value.get("url") if type(value) is dict else value
        if type(where) is str and _ELSEWHERE.match(where):
            raise RelayError("refused_field", param=f"messages.content.{name}")
        return said(value, walk)
    return act


_PART: Final = Shape({
    "type": None, "text": None, "refusal": None, "image_url": picture(_address("image_url")),
    "input_audio": untold(by_name), "file": opened(_FILE),
    **{name: opened(_address(name))
       for name in ("video_url", "audio_url", "document_url", "file_url")},
    "file_id": refuse("messages.content.file_id"), "prompt_cache_breakpoint": CACHE_BREAKPOINT,
    "cache_control": said, **copies("messages.content"),
}, other=said).put
"""Of others than OpenAI: `document_url` and `file_id` are Mistral's, `file_url` is Zhipu's,
`audio_url` vLLM's."""

_CALL: Final = Shape({
    "index": silent, "id": None, "type": None,
    "function": Shape({
        "name": None, "arguments": None,
        "parsed_arguments": drop("messages.tool_calls.function.parsed_arguments"),
    }, other=said).put,
    "custom": Shape({"name": None, "input": None}).put,
}, other=said).put
"""`index` is left over from a stream whose parts the client put together: a list has an order."""


def _true(value: object, walk: Walk) -> object:
    """A mark that is not set unless it is true."""
    return value if value else GONE


_SPOKEN: Final = filled(Shape({"id": refuse("messages.audio.id")}).put)
"""What the model said before, which the provider keeps for an hour: its words can be sent."""

_MESSAGE: Final = Shape({
    "role": None, "name": said, "content": items(_PART), "refusal": filled(by_name),
    "reasoning_content": said, "tool_calls": filled(items(_CALL)),
    "function_call": filled(Shape({"name": None, "arguments": None}).put),
    "tool_call_id": None, "audio": _SPOKEN, "prefix": _true, "parsed": drop("messages.parsed"),
    "annotations": filled(by_name), **copies("messages"),
}, other=said).put
"""`parsed` and `parsed_arguments` are what OpenAI's SDKs made of an answer that came before. Some
give an answer back as it came, others without its members that say nothing. `prefix` is Mistral's
and DeepSeek's: the answer goes on from this message."""

WEB_SEARCH: Final = Shape({
    "search_context_size": None, "user_location": drop("web_search_options.user_location"),
}).put


def _finish(fields: dict[str, object], walk: Walk) -> None:
    if walk.policy.end_user != "absent":
        end_user(fields, walk)
    if fields.get("tools") == [] and "tool_choice" not in fields:
        del fields["tools"]  # a choice among no tools is for the provider to judge
    if "tools" not in fields and not AMONG_TOOLS.isdisjoint(fields):
        leave_choice(fields, walk)
    if walk.stream or "stream_options" in fields:
        streaming(fields, walk, with_usage=True)


TABLE: Final = Table({
    "model": None,
    "messages": items(_MESSAGE),
    "max_completion_tokens": number,
    "max_tokens": number,
    "temperature": number,
    "top_p": number,
    "n": choices,
    "stop": None,
    "seed": number,
    "frequency_penalty": number,
    "presence_penalty": number,
    "logit_bias": filled(by_name),
    "logprobs": None,
    "top_logprobs": number,
    "tools": TOOLS,
    "tool_choice": by_name,
    "parallel_tool_calls": None,
    "functions": items(FUNCTION),
    "function_call": by_name,
    "response_format": FORMAT.put,
    "reasoning_effort": None,
    "verbosity": None,
    "modalities": None,
    "audio": by_name,
    "prediction": Shape({"type": None, "content": items(_PART)}).put,
    "moderation": by_name,
    "web_search_options": WEB_SEARCH,
    "service_tier": tier("service_tier"),
    "prompt_cache_key": cache_key,
    "prompt_cache_options": filled(CACHE_OPTIONS),
    "prompt_cache_retention": cache_retention,
    **END_USER,
    "metadata": drop("metadata"),
    "store": drop("store"),
    "stream": flag_stream,
    "stream_options": stream_options,
}, _finish)
"""`store` is dropped; `body.write` forces it to false where a provider keeps answers unless told
(OpenAI, for new accounts). Elsewhere its absence means the same, and some refuse the field."""
