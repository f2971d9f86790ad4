"""How much a request lets the model make: the bounds that its own fields set.

Law: reads fields that a table has passed; a value of another kind is no bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

VALUE_MAX: Final = 1 << 31
"""A larger figure is taken for this one."""
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    # a provider knows one of them or both: the larger one counts
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
_GENERATES: Final = frozenset({"generate", "stream_generate"})
_NO_OUTPUT: Final = frozenset({
    "embeddings", "moderations", "rerank", "count_tokens", "count", "embed", "batch_embed",
    "transcription", "translation"})
"""What makes no tokens that a client could bound."""
_IMAGES: Final = frozenset({"image_generation", "image_edit"})
IMAGE_TOKENS, IMAGE_TOKENS_MAX = 1_056, 8_192
"""Of one image, where images are made of tokens: gpt-image-1's usual ones have 1,056, its largest
6,240."""


class Bound(NamedTuple):
    """`tokens` of output at most, None: the request does not say; `images` at most, whose tokens
    are among them. `newer`: only `max_completion_tokens` says it, which not all providers know."""

    tokens: int | None
    images: int = 0
    newer: bool = False


def bound(operation: str, fields: Mapping[str, object]) -> Bound:
    """The bounds of a request's body, several choices taken together."""
    if operation in _NO_OUTPUT:
        return Bound(0)
    if operation in _IMAGES:
        images = _whole(fields.get("n")) or 1
        return Bound(min(images * IMAGE_TOKENS_MAX, VALUE_MAX), images)
    if operation in _GENERATES:
        config = fields.get("generationConfig")
        config = config if isinstance(config, Mapping) else {}
        # 0 is the default of protobuf's numbers: no bound
        limit = _whole(config.get("maxOutputTokens")) or None
        return _times(limit, config.get("candidateCount"))
    given = [tokens for name in _NAMES.get(operation, ())
             if (tokens := _whole(fields.get(name))) is not None]
    if operation == "chat":  # 0 is in the settings of many clients where there is no bound
        given = [tokens for tokens in given if tokens]
    # of `best_of` one is returned and all are paid
    choices = max(_whole(fields.get("n")) or 1, _whole(fields.get("best_of")) or 1)
    if operation == "completions":
        choices *= _prompts(fields.get("prompt"))
    newer = operation == "chat" and bool(given) and not _whole(fields.get("max_tokens"))
    return _times(max(given, default=None), choices)._replace(newer=newer)


def _prompts(prompt: object) -> int:
    """How many prompts one request has: each gets its own answers. A list of numbers is one."""
    several = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
    return len(prompt) if several and isinstance(prompt, list) else 1


def _times(tokens: int | None, choices: object) -> Bound:
    if tokens is None:
        return Bound(None)
    return Bound(min(tokens * max(1, _whole(choices) or 1), VALUE_MAX))


def _whole(value: object) -> int | None:
    """A whole number >= 0, also one that is written as 100.0 or, as Gemini takes it, "100"."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, VALUE_MAX)
