"""Counts the tokens of a request's prompt: one rule for each endpoint.

Law: pure computing on the parsed body, bounded in time, for any thread. A body that the provider
would refuse is counted somehow and never raises: a field of a wrong type counts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from relayd.relay.count import Count
from relayd.relay.prompt_anthropic import messages
from relayd.relay.prompt_gemini import batch_embed, embed, generate
from relayd.relay.prompt_memo import AccountMemo
from relayd.relay.prompt_openai import Plain, chat, responses
from relayd.relay.prompt_tally import Tally
from relayd.relay.tokenizer import Encodings, ModelEncoding
from relayd.wire.dialect import Endpoint

PROMPT_BYTES_INLINE_MAX: Final = 4096
"""Bodies above this many bytes are counted on a thread: below it, a count takes about 0.5 ms."""

Rule = Callable[[Tally, Mapping[str, object]], None]

RULES: Final[dict[str, Rule]] = {
    "chat": chat,
    "completions": Plain("prompt", "suffix"),
    "responses": responses,
    "embeddings": Plain("input"),
    "moderations": Plain("input"),
    "image_generation": Plain("prompt"),
    "image_edit": Plain("prompt"),
    "speech": Plain("input", "instructions"),
    "transcription": Plain("prompt"),
    "translation": Plain("prompt"),
    "rerank": Plain("query", "documents"),
    "messages": messages,
    "count_tokens": messages,
    "generate": generate,
    "stream_generate": generate,
    "count": generate,
    "embed": embed,
    "batch_embed": batch_embed,
}
"""By the endpoint's operation. Audio, video and files cannot be foreseen and count nothing."""


def count_prompt(
    endpoint: Endpoint,
    fields: Mapping[str, object],
    encoding: ModelEncoding,
    encodings: Encodings,
    memo: AccountMemo | None = None,
    bytes_max: int = sys.maxsize,
) -> Count:
    """Tokens of the prompt in a parsed body, >= 0; `memo` saves what was counted before.

    Raises TooLong before more than `bytes_max` of it is encoded.
    Exact is said of a text that was encoded whole by the model's own encoding. What the rules
    foresee of overheads, tools and images is within the errors of docs/counting.md all the same.
    """
    tally = Tally(encodings, encoding, memo, bytes_max)
    RULES[endpoint.operation](tally, fields)
    return tally.total(), not tally.approximate
