"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.timestamp import (
    UNIX_MS_END, compact, parse_future, parse_past, rfc3339, rfc3339_or_none,
)

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY = 86_400_000


@given(st.integers(0, UNIX_MS_END - 1))
def test_text_and_back(unix_ms: int) -> None:
    text = rfc3339(unix_ms)
    assert len(text) == 24 and text.endswith("Z")
    assert rfc3339_or_none(unix_ms) == text and rfc3339_or_none(None) is None
    assert parse_past(text, 0, "since") == unix_ms
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == unix_ms


@pytest.mark.parametrize("text, expected", [
    ("7d", NOW - 7 * DAY), ("24h", NOW - DAY), ("90m", NOW - 5_400_000), ("2w", NOW - 14 * DAY),
    ("30s", NOW - 30_000), ("2025-12-31", NOW - DAY), ("2025-12-31T12:00:00", NOW - DAY // 2),
    ("2026-01-01T01:00:00+01:00", NOW), ("2026-01-01T00:00:00Z", NOW), ("999999d", 0),
    ("2026-01-01t00:00:00z", NOW), ("2026-01-01 01:00:00.0001+01:00", NOW),
    ("2025-12-31T23:59:60Z", NOW - 1000), ("2026-01-01T00:59:60.5+01:00", NOW - 500),
])
def test_reads_dates_times_and_spans(text: str, expected: int) -> None:
    assert parse_past(text, NOW, "since") == expected


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-7d", "7 d", "٧d", "2026-13-01",
                                  "1969-12-31", "2025-12-31T23:60:00Z",
                                  "2025-12-31T23:59:61Z", "0001-01-01T00:00:00+23:59"])
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        parse_past(text, NOW, "since")
    assert caught.value.code == "invalid_time" and caught.value.param == "since"


def test_spans_run_forward_for_what_is_to_come() -> None:
    assert parse_future("90d", NOW, "expires") == NOW + 90 * DAY
    assert parse_future("2026-01-02", NOW, "expires") == NOW + DAY


@pytest.mark.parametrize("text", ["2025-12-31", "0d", "999999999w", "2026-01-01"])
def test_refuses_a_future_that_has_passed_or_never_comes(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        parse_future(text, NOW, "expires")
    assert caught.value.code == "invalid_time"


def test_the_default_zone_is_utc() -> None:
    noon = datetime(2025, 12, 31, 12, tzinfo=UTC)
    assert parse_past("2025-12-31T12:00", NOW, "since") == noon.timestamp() * 1000


def test_times_in_names_of_files_sort_as_they_came() -> None:
    assert compact(1_767_225_600_999) == "20260101T000000Z"
    assert compact(1_767_225_600_000) < compact(1_767_225_601_000)
