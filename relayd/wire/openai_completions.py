"""The fields of POST /v1/completions (type definitions of openai-python 3.57)."""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Table, by_name, filled, flag_stream, number
from relayd.wire.openai_tools import END_USER, choices, end_user, stream_options, streaming
from relayd.wire.walk import Walk


def _finish(fields: dict[str, object], walk: Walk) -> None:
    end_user(fields, walk)
    streaming(fields, walk, with_usage=True)


TABLE: Final = Table({
    "model": None,
    "prompt": None,
    "suffix": None,
    "max_tokens": number,
    "temperature": number,
    "top_p": number,
    "n": choices,
    "best_of": number,
    "stop": None,
    "seed": number,
    "echo": None,
    "frequency_penalty": number,
    "presence_penalty": number,
    "logit_bias": filled(by_name),
    "logprobs": number,
    "user": END_USER["user"],
    "stream": flag_stream,
    "stream_options": stream_options,
}, _finish)
