"""Token usage of one call, and how each ending of a call is recorded.

Totals include their parts: `input_tokens` counts cached and cache-written tokens too, and
`output_tokens` counts reasoning, whatever the provider's own convention is (OpenTelemetry's
`gen_ai.usage.*` words).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Outcome = Literal[
    "completed", "refused", "provider_error", "provider_truncated", "client_left", "interrupted"
]
UsageSource = Literal["reported", "counted", "estimated", "none"]

TOKENS_MAX: Final = 1 << 40
"""Above this a reported figure is nonsense; it is not taken (no overflow, nothing negative)."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call; every field is a count >= 0. Audio, cache, image, reasoning are parts.

    `cache_creation_1h_input_tokens` is a part of `cache_creation_input_tokens`. `images` (made)
    and `audio_seconds` (heard) are no tokens; they are what some models are priced by.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    images: int = 0
    audio_seconds: int = 0
