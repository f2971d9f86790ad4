"""Drift: how far a provider's reported usage lies from the relay's own count.

Law: judged in the provider's favour. Reasoning that was not streamed cannot be counted, so of the
reported output with and without its reasoning the figure counts that lies nearer to the own count.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.core.columns import Column

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
    """What `compared` needs of completed calls: a column for each field."""

    usage_source: Column
    input_tokens: Column
    output_tokens: Column
    reasoning_output_tokens: Column
    audio_input_tokens: Column
    audio_output_tokens: Column
    counted_input_tokens: Column
    counted_output_tokens: Column


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
    sources, given, made, reasoning, heard, spoken, counted_input, counted = columns
    count = len(sources)
    if counted.count(None) == count:
        return NO_FIGURES
    if (sources.count("reported") == count and not any(heard) and not any(spoken)
            and None not in counted_input and None not in counted):
        return _summed(given, counted_input, made, reasoning, counted)
    found = [row for row in zip(*columns)  # of most calls nothing is counted: that is asked first
             if row[7] is not None and row[6] is not None and row[0] == "reported"
             and not (row[4] or row[5])]
    if not found:
        return NO_FIGURES
    _, given, made, reasoning, _, _, counted_input, counted = zip(*found)
    return _summed(given, counted_input, made, reasoning, counted)


def _summed(given: Column, counted_input: Column, made: Column, reasoning: Column,
            counted: Column) -> Figures:
    if any(reasoning):
        made = tuple(map(comparable_output, made, reasoning, counted))
    return Figures(len(given), sum(given), sum(counted_input), sum(made), sum(counted))
