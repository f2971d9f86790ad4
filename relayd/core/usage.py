"""Token usage of one call, and how each ending of a call is recorded and billed: one table.

Totals include their parts: `input_tokens` counts cached and cache-written tokens too, and
`output_tokens` counts reasoning, whatever the provider's own convention is (OpenTelemetry's
`gen_ai.usage.*` words).

Law: what is recorded is what is billed. A call's amount follows from its record alone, so that
anybody can rate it again (docs/decisions/0013).
"""

from __future__ import annotations

from dataclasses import dataclass
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

    `cache_creation_1h_input_tokens` is a part of `cache_creation_input_tokens`. `images` (made),
    `audio_seconds` (heard or made) and `searches` (of the web, by the provider's own tool) are no
    tokens; they are what some calls are priced by.
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
    searches: int = 0

    def plus(self, other: Usage) -> Usage:
        """The sum of two calls' usage, field by field."""
        return Usage(*(
            getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


class Beside(Usage, frozen=True, gc=False):
    """What a reply shows of itself, images and searches in it or how long it was spoken, where
    its provider reported nothing: numbers of things, and no report. Its tokens are those of an
    image that was not finished, of a chat's sound, by its kind, or of a realtime session that was
    left within a response, with what was reported before."""


NO_USAGE: Final = Usage()

Ending = Literal[
    "completed", "refused", "provider_error", "provider_failed", "provider_truncated",
    "left_unserved", "left", "left_drained", "left_cut_off", "stopped", "died", "fault",
]
Basis = Literal["none", "report", "whole", "answered", "so_far"]
"""none: nothing. report: what the provider reported, else nothing. whole: what it reported, else
the relay's count. so_far: the report where it covers all text that passed; an older one with the
larger of its output and the count; without any the count. answered: as so_far, but without a
report and without any text nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is recorded of a call that ended in one way; `when` says that way to people."""

    outcome: Outcome
    basis: Basis
    when: str


ENDINGS: Final[dict[Ending, Rule]] = {
    "completed": Rule("completed", "whole", "the reply was passed whole"),
    "refused": Rule("refused", "none", "the relay refused it, or it was never sent"),
    "provider_error": Rule(
        "provider_error", "report",
        "the provider could not be reached, or answered with an error and nothing else"),
    "provider_failed": Rule(
        "provider_error", "answered",
        "the provider told of an error in a reply that had begun"),
    "provider_truncated": Rule(
        "provider_truncated", "answered",
        "the provider broke off, fell silent, or ended without its last event"),
    "left_unserved": Rule(
        "client_left", "report",
        "the client left before a provider had its request, or the provider refused it"),
    "left": Rule(
        "client_left", "so_far",
        "the client left, or read nothing for `idle_seconds`: the upstream reply was cancelled"),
    "left_drained": Rule(
        "client_left", "whole",
        "the client left, and the reply was read to its end (`on_client_close = \"drain\"`)"),
    "left_cut_off": Rule(
        "client_left", "so_far",
        "the client left, and so did the provider or the relay before the reply's end"),
    "stopped": Rule(
        "interrupted", "so_far", "the relay was stopped, and the time to drain was over"),
    "died": Rule("interrupted", "so_far", "the daemon died; what its journal knew is recorded"),
    "fault": Rule("interrupted", "none", "the relay itself failed: nobody pays for its defects"),
}


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What is known of a call's usage when it ends.

    `reported` is the provider's last report, or what is beside none, and `covers` says that no
    text has passed since. The counts are the relay's own, None where it did not count; `exact`
    says that they are those of the model's own tokenizer.
    """

    reported: Usage | None = None
    covers: bool = False
    counted_input: int | None = None
    counted_output: int | None = None
    exact: bool = False


def usage_of(ending: Ending, seen: Seen) -> tuple[Usage, UsageSource]:
    """The usage that is recorded for an ending. The source says where the output is from."""
    basis = ENDINGS[ending].basis
    if basis == "none":
        return NO_USAGE, "none"
    counted: UsageSource = "counted" if seen.exact else "estimated"
    reported = seen.reported
    made = seen.counted_output or 0
    if isinstance(reported, Beside):
        got = made or reported.images or reported.audio_seconds  # of a search alone it has nothing
        if basis == "report" or (basis == "answered" and not got):
            return NO_USAGE, "none"
        # of what images take there is no exact count
        return msgspec.structs.replace(
            reported, input_tokens=(seen.counted_input or 0) + reported.input_tokens,
            output_tokens=made + reported.output_tokens), "estimated"
    if reported is not None:
        final = basis in ("report", "whole")
        if final or seen.covers or made <= reported.output_tokens:
            return reported, "reported"
        return msgspec.structs.replace(reported, output_tokens=made), counted
    if seen.counted_input is None or basis == "report" or (basis == "answered" and not made):
        return NO_USAGE, "none"
    return Usage(seen.counted_input, made), counted


def billed(outcome: Outcome, source: UsageSource) -> bool:
    """Whether a call is paid for: it had usage, or was completed (a price may be per call)."""
    return source != "none" or outcome == "completed"
