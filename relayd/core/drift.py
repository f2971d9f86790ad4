"""Drift: how far a provider's reported usage lies from the relay's own count.

Law: judged in the provider's favour. Reasoning that was not streamed cannot be counted, so of the
reported output with and without its reasoning the figure counts that lies nearer to the own count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from relayd.core.usage import UsageSource

TOLERANCE_EXACT: Final = 0.02
"""For models whose own tokenizer counts: what the chat format adds varies by deployment."""
TOLERANCE_ESTIMATED: Final = 0.25
"""For models without a public tokenizer: the known error of the factors (docs/counting.md)."""
TOKENS_MIN: Final = 1000
"""Below so many counted tokens a ratio says nothing: a call may be off by a few tokens."""


class Drift(NamedTuple):
    """Sums over calls that have both a report and an own count. `exact`: all counted exactly."""

    provider: str
    model: str
    calls: int
    exact: bool
    reported_input: int
    counted_input: int
    reported_output: int
    counted_output: int

    @property
    def input_ratio(self) -> float | None:
        """Reported over counted; None without a count."""
        return ratio(self.reported_input, self.counted_input)

    @property
    def output_ratio(self) -> float | None:
        """The same of the output."""
        return ratio(self.reported_output, self.counted_output)

    @property
    def suspicious(self) -> bool:
        """Whether either ratio lies beyond its tolerance, on enough tokens to say so.

        Input is held to the estimate's tolerance: tools, images and files are rendered into the
        prompt by rules that providers do not publish.
        """
        allowed = TOLERANCE_EXACT if self.exact else TOLERANCE_ESTIMATED
        return (
            _beyond(self.reported_output, self.counted_output, allowed)
            or _beyond(self.reported_input, self.counted_input, TOLERANCE_ESTIMATED))


def ratio(reported: int, counted: int) -> float | None:
    """Reported over counted, to four places; None without a count."""
    return round(reported / counted, 4) if counted else None


def _beyond(reported: int, counted: int, allowed: float) -> bool:
    return counted >= TOKENS_MIN and abs(reported - counted) > allowed * counted


def comparable_output(output: int, reasoning: int, counted: int) -> int:
    """The reported output that the own count can be held against."""
    visible = output - min(reasoning, output)
    return output if abs(counted - output) < abs(counted - visible) else visible


class Compared(NamedTuple):
    """What `compared` needs of completed calls: a column for each field, or a call's values."""

    usage_source: Sequence[UsageSource]
    input_tokens: Sequence[int]
    output_tokens: Sequence[int]
    reasoning_output_tokens: Sequence[int]
    audio_input_tokens: Sequence[int]
    audio_output_tokens: Sequence[int]
    counted_input_tokens: Sequence[int | None]
    counted_output_tokens: Sequence[int | None]


class Figures(NamedTuple):
    """Sums over calls that can be compared, and how many these are."""

    calls: int
    reported_input: int
    counted_input: int
    reported_output: int
    counted_output: int


NO_FIGURES: Final = Figures(0, 0, 0, 0, 0)


def compared(columns: Compared) -> Figures:
    """What completed calls are compared by.

    Only those with a report and both own counts, and without audio, which is not counted.
    """
    count = len(columns.usage_source)
    if columns.counted_output_tokens.count(None) == count:
        return NO_FIGURES
    found = []
    for source, given, made, reasoning, heard, spoken, counted_input, counted in zip(*columns):
        if (source == "reported" and counted_input is not None and counted is not None
                and not (heard or spoken)):
            found.append((1, given, counted_input, made if not reasoning
                          else comparable_output(made, reasoning, counted), counted))
    return Figures(*map(sum, zip(*found))) if found else NO_FIGURES
