"""Usage is a frozen value; and every ending is recorded by one table."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.usage import (
    ENDINGS,
    NO_USAGE,
    Basis,
    Beside,
    Ending,
    Outcome,
    Seen,
    Usage,
    UsageSource,
    billed,
    usage_of,
)

EARLY = Usage(130, 1, cache_read_input_tokens=100)
"""What a stream's first event reports: the input exactly, of the output next to nothing."""


def test_the_default_is_zero_throughout() -> None:
    assert all(getattr(Usage(), name) == 0 for name in Usage.__struct_fields__)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Usage().input_tokens = 1  # type: ignore[misc]


def test_every_ending_has_a_row_and_every_outcome_an_ending() -> None:
    assert list(ENDINGS) == list(get_args(Ending))
    assert {rule.outcome for rule in ENDINGS.values()} == set(get_args(Outcome))
    assert {rule.basis for rule in ENDINGS.values()} == set(get_args(Basis))
    assert len({rule.when for rule in ENDINGS.values()}) == len(ENDINGS)


NOTHING, REPORTED, STALE, COUNTED = (
    Seen(), Seen(Usage(9, 4), True, 8, 6, True), Seen(EARLY, False, 120, 40, True),
    Seen(None, False, 120, 40, True))
UNANSWERED = Seen(None, False, 120, 0, True)
NONE = (NO_USAGE, "none")
ENTIRE = (Usage(9, 4), "reported")
COMBINED = (Usage(130, 40, cache_read_input_tokens=100), "counted")
COUNT = (Usage(120, 40), "counted")
ROWS: dict[Basis, list[tuple[Usage, str]]] = {
    "none": [NONE, NONE, NONE, NONE, NONE],
    "report": [NONE, ENTIRE, (EARLY, "reported"), NONE, NONE],
    "whole": [NONE, ENTIRE, (EARLY, "reported"), COUNT, (Usage(120, 0), "counted")],
    "answered": [NONE, ENTIRE, COMBINED, COUNT, NONE],
    "so_far": [NONE, ENTIRE, COMBINED, COUNT, (Usage(120, 0), "counted")],
}


@pytest.mark.parametrize("ending", get_args(Ending))
def test_what_is_recorded(ending: Ending) -> None:
    seen = [NOTHING, REPORTED, STALE, COUNTED, UNANSWERED]
    assert [usage_of(ending, one) for one in seen] == ROWS[ENDINGS[ending].basis]


def test_only_the_model_s_own_tokenizer_counts() -> None:
    assert usage_of("completed", Seen(None, False, 7, 3))[1] == "estimated"
    assert usage_of("left", Seen(EARLY, False, 7, 3))[1] == "estimated"


def test_an_explicit_zero_is_a_zero() -> None:
    assert usage_of("completed", Seen(Usage(), False, 7, 3, True)) == (NO_USAGE, "reported")


@pytest.mark.parametrize("ending", get_args(Ending))
def test_what_is_beside_no_report_is_none(ending: Ending) -> None:
    """Images have been made, and the tokens are the relay's own count, if it has one."""
    seen = [Seen(Beside(images=2), True, *counts) for counts in (
        (7, 3, True), (None, None))]
    found = [usage_of(ending, one) for one in seen]
    if ENDINGS[ending].basis in ("none", "report"):
        assert found == [NONE, NONE]
    else:
        assert found == [(Beside(7, 3, images=2), "estimated"), (Beside(images=2), "estimated")]


@pytest.mark.parametrize("ending", get_args(Ending))
def test_an_unfinished_image_is_paid_by_who_leaves(ending: Ending) -> None:
    """Where the provider ends it, nobody has anything."""
    begun = Beside(output_tokens=1056, image_output_tokens=1056)
    found = usage_of(ending, Seen(begun, True, 7, 0, True))
    if ENDINGS[ending].basis in ("none", "report", "answered"):
        assert found == NONE
    else:
        assert found == (Beside(7, 1056, image_output_tokens=1056), "estimated")


@pytest.mark.parametrize("ending", get_args(Ending))
def test_searches_alone_are_no_answer(ending: Ending) -> None:
    """Who has got nothing of an answer pays nothing for it, though its provider has searched."""
    found = usage_of(ending, Seen(Beside(searches=1), True, 7, 0, True))
    if ENDINGS[ending].basis in ("none", "report", "answered"):
        assert found == NONE
    else:
        assert found == (Beside(7, 0, searches=1), "estimated")
    told = usage_of(ending, Seen(Beside(searches=1), True, 7, 3, True))
    assert (told == NONE) == (ENDINGS[ending].basis in ("none", "report"))


def test_an_older_report_above_the_count_stays() -> None:
    assert usage_of("left", Seen(Usage(9, 88), False, 8, 20, True)) == (Usage(9, 88), "reported")


@pytest.mark.parametrize(("outcome", "source", "paid"), [
    ("completed", "none", True), ("completed", "counted", True), ("client_left", "none", False),
    ("client_left", "estimated", True), ("provider_error", "reported", True),
    ("provider_error", "none", False), ("refused", "none", False),
])
def test_what_is_paid_for(outcome: Outcome, source: UsageSource, paid: bool) -> None:
    assert billed(outcome, source) is paid


COUNTS = st.integers(0, 1000)
SEEN = st.builds(
    Seen, st.none() | st.builds(Usage, COUNTS, COUNTS), st.booleans(), st.none() | COUNTS,
    st.none() | COUNTS, st.booleans())


@given(st.sampled_from(get_args(Ending)), SEEN)
def test_a_report_is_never_lowered_and_nothing_is_made_up(ending: Ending, seen: Seen) -> None:
    usage, source = usage_of(ending, seen)
    if source == "none":
        assert usage == NO_USAGE
    elif seen.reported is not None:
        assert usage.input_tokens == seen.reported.input_tokens
        assert usage.output_tokens >= seen.reported.output_tokens
        assert (usage == seen.reported) is (source == "reported")
    else:
        assert source != "reported" and usage.input_tokens == seen.counted_input
