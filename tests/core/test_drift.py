"""Drift: judged in the provider's favour, and only on enough tokens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.columns import Columns, places
from relayd.core.drift import (
    NO_FIGURES, TOKENS_MIN, Compared, Drift, Figures, comparable_output, compared, ratio,
)
from relayd.core.record import CallRecord
from tests.fakes.records import call_record


def drift(exact: bool, reported_output: int, counted_output: int, reported_input: int = 100,
          counted_input: int = 100) -> Drift:
    return Drift("p", "m", 1, exact, reported_input, counted_input, reported_output,
                 counted_output)


@pytest.mark.parametrize(("made", "suspicious"), [
    (drift(True, 10_000, 10_000), False), (drift(True, 10_200, 10_000), False),
    (drift(True, 10_201, 10_000), True), (drift(True, 9_799, 10_000), True),
    (drift(False, 12_500, 10_000), False), (drift(False, 12_501, 10_000), True),
    (drift(True, 2 * TOKENS_MIN, TOKENS_MIN - 1), False), (drift(True, 100, 0), False),
    (drift(True, 2 * TOKENS_MIN, TOKENS_MIN), True),
    (drift(True, 10_000, 10_000, 12_500, 10_000), False),
    (drift(True, 10_000, 10_000, 12_501, 10_000), True),
])
def test_verdicts(made: Drift, suspicious: bool) -> None:
    assert made.suspicious is suspicious


def test_ratios() -> None:
    assert ratio(150, 100) == 1.5 and ratio(1, 3) == 0.3333 and ratio(5, 0) is None
    made = drift(True, 110, 100, 90, 100)
    assert (made.input_ratio, made.output_ratio) == (0.9, 1.1)


@pytest.mark.parametrize(("output", "reasoning", "counted", "expected"), [
    (500, 450, 50, 50),  # hidden reasoning was not counted
    (500, 450, 495, 500),  # it was streamed as text, and counted
    (500, 0, 480, 500), (5, 9, 5, 5),
])
def test_reasoning(output: int, reasoning: int, counted: int, expected: int) -> None:
    assert comparable_output(output, reasoning, counted) == expected


@given(*[st.integers(0, 10 ** 9)] * 3)
def test_it_is_one_of_the_two(output: int, reasoning: int, counted: int) -> None:
    assert comparable_output(output, reasoning, counted) in (output, max(0, output - reasoning))


def columns(*records: CallRecord) -> Compared:
    return Compared(*Columns(records).of(places(*Compared._fields)))


@pytest.mark.parametrize(("changes", "figures"), [
    ({}, (100, 99, 13, 11)), ({"counted_output_tokens": 20}, (100, 99, 20, 20)),
    ({"counted_output_tokens": None}, None), ({"counted_input_tokens": None}, None),
    ({"usage_source": "counted"}, None), ({"audio_input_tokens": 1}, None),
    ({"audio_output_tokens": 1}, None),
])
def test_calls_that_can_be_compared(
    changes: dict[str, Any], figures: tuple[int, int, int, int] | None
) -> None:
    record = call_record(**{
        "audio_input_tokens": 0, "audio_output_tokens": 0, "counted_output_tokens": 11, **changes})
    one = NO_FIGURES if figures is None else Figures(1, *figures)
    assert compared(columns(record)) == one
    other = call_record(audio_input_tokens=0, audio_output_tokens=0, counted_output_tokens=11)
    assert compared(columns(record, other, record)) == Figures(
        *(2 * mine + its for mine, its in zip(one, (1, 100, 99, 13, 11), strict=True)))


CALLS = st.lists(st.builds(
    lambda source, tokens, audio, counts: call_record(
        usage_source=source, output_tokens=tokens[0], reasoning_output_tokens=tokens[1],
        audio_input_tokens=audio[0], audio_output_tokens=audio[1],
        counted_input_tokens=counts[0], counted_output_tokens=counts[1]),
    st.just("reported") | st.just("counted"), st.tuples(*[st.integers(0, 9)] * 2),
    st.just((0, 0)) | st.tuples(*[st.integers(0, 1)] * 2),
    st.tuples(*[st.none() | st.integers(0, 9)] * 2)), min_size=1, max_size=5)


@given(CALLS)
def test_calls_are_compared_one_by_one_or_together(records: list[CallRecord]) -> None:
    expected = NO_FIGURES
    for each in records:
        counts = each.counted_input_tokens, each.counted_output_tokens
        if (each.usage_source == "reported" and counts[0] is not None and counts[1] is not None
                and not each.audio_input_tokens and not each.audio_output_tokens):
            output = comparable_output(
                each.output_tokens, each.reasoning_output_tokens, counts[1])
            expected = Figures(*map(sum, zip(
                expected, (1, each.input_tokens, counts[0], output, counts[1]), strict=True)))
    assert compared(columns(*records)) == expected
