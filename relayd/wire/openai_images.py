"""The fields of POST /v1/images/generations (type definitions of openai-python 3.57).

An answer by URL would make the client fetch from the provider's own servers, and so show its
address to it. Models that can answer either way are asked for the image itself.
"""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Table, by_name, flag_stream, number
from relayd.wire.openai_tools import END_USER, end_user
from relayd.wire.walk import Walk

INLINE_ONLY: Final = ("gpt-image", "chatgpt-image")
"""Models that always answer with the image itself and do not know `response_format`."""

URL_BY_DEFAULT: Final = ("dall-e", "grok-")
"""Models that answer with an address at the provider where nothing else is asked for: whoever
opens it shows the provider their own (OpenAI's and xAI's documentation of images)."""


def says_inline(asked: str, sent: str, wanted: bool) -> bool:
    """Whether the image itself is asked for by `response_format`; `wanted`: the client wrote one.

    The model that is sent decides, and only where its name does not tell (a deployment's own)
    the one that was asked for. A gateway may have the maker's name before it.
    """
    for name in (sent, asked):
        model = name.rpartition("/")[2]
        if model.startswith(INLINE_ONLY):
            return False
        if model.startswith(URL_BY_DEFAULT):
            return True
    return wanted


def _finish(fields: dict[str, object], walk: Walk) -> None:
    wanted = fields.pop("response_format", None)
    fields["response_format"] = ""
    walk.stand_ins += (("response_format", "inline", "b64_json" if wanted else None),)
    if wanted is not None and wanted != "b64_json":
        walk.drop("response_format")
    end_user(fields, walk)
    fields.pop("stream", None)
    if walk.stream:
        fields["stream"] = True


TABLE: Final = Table({
    "model": None,
    "prompt": None,
    "n": number,
    "size": None,
    "quality": None,
    "style": None,
    "background": None,
    "moderation": None,
    "output_format": None,
    "output_compression": number,
    "partial_images": number,
    "complexity": None,
    "frame_count": number,
    "frame_duration_ms": number,
    "svg": by_name,
    "response_format": None,
    **END_USER,
    "stream": flag_stream,
}, _finish)
