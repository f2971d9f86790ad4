"""Places are read as they are written; figures are those of the calls that were looked at."""

from __future__ import annotations

import pytest

from relayd.core.call import OUTCOMES, Brief, Figures, Place, figures, parse_place
from relayd.core.errors import RelayError
from relayd.core.luhn import has_card_number

ID = "01KDVBXH2Q7ZC4M9T8WJRS5XNY"


def test_a_place_is_read_as_it_is_written() -> None:
    place = Place(1_767_225_600_000, ID)
    assert parse_place(place.text()) == place
    assert not has_card_number(Place(1_799_997_060_000, ID).text())


@pytest.mark.parametrize("text", (
    "", "-", ID, f"1{ID}", f"-1_{ID}", f"1_{ID}x", f"1_{ID[:-1]}", f"1_{ID.lower()}",
    f"{'9' * 13}_{ID}", f"١_{ID}", f"1_{ID}\n", f"A_{ID}"))
def test_other_texts_are_no_place(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        parse_place(text)
    assert caught.value.code == "invalid_value" and caught.value.param == "before"


def test_no_calls_have_no_times() -> None:
    assert figures([]) == Figures(0, 0, 0, None, None)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_is_a_failure_or_not(outcome: str) -> None:
    failed = outcome in ("provider_error", "provider_truncated", "interrupted")
    found = figures([Brief(outcome, None)])
    assert found == Figures(1, int(failed), int(outcome == "refused"), None, None)


def test_quantiles_are_nearest_ranks() -> None:
    briefs = [Brief("completed", float(n)) for n in range(100, 0, -1)] + [Brief("refused", None)]
    assert figures(briefs) == Figures(101, 0, 1, 50.0, 95.0)
    assert figures([Brief("completed", 7.0)])[3:] == (7.0, 7.0)
    many = [Brief("completed", float(n)) for n in range(1, 2001)]
    assert figures(many)[3:] == (1000.0, 1900.0)
