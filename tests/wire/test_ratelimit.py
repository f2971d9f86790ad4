"""Rate-limit fields as providers were seen to write them, and as they were not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.ratelimit import LOW_SECONDS, LOW_SECONDS_MAX, low_seconds

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def head(text: str) -> bytes:
    return ("http/1.1 200 ok\r\n" + "\r\n".join(text.split("\n"))).encode()


@pytest.mark.parametrize(("text", "seconds"), [
    ("content-type: application/json", 0.0),
    ("x-ratelimit-limit-requests: 100\nx-ratelimit-remaining-requests: 50", 0.0),
    ("x-ratelimit-limit-requests: 100\nx-ratelimit-remaining-requests: 2", LOW_SECONDS),
    ("x-ratelimit-limit-requests: 100\nx-ratelimit-remaining-requests: 3", 0.0),
    ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 1.182s", 1.182),
    ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 120ms", 0.12),
    ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 6m0s", LOW_SECONDS_MAX),
    ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 3", 3.0),
    ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 0s, req_b176", 0.0),
    ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: soon", LOW_SECONDS),
    ("x-ratelimit-remaining-req-minute: 0", LOW_SECONDS),
    ("x-ratelimit-remaining-requests: -1", 0.0),
    # a limit without what is left of it
    ("x-ratelimit-limit-requests: 100\nx-ratelimit-reset-requests: 1s", 0.0),
    ("x-ratelimit-limit-requests: 12.5\nx-ratelimit-remaining-requests: 0.1", 0.0),
    ("x-ratelimit-remaining-requests: ", 0.0),
    ("anthropic-ratelimit-input-tokens-limit: 50000\n"
     "anthropic-ratelimit-input-tokens-remaining: 900\n"
     "anthropic-ratelimit-input-tokens-reset: 2026-01-01t00:00:04z", 4.0),
    ("anthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 49\n"
     "anthropic-ratelimit-output-tokens-remaining: 0\n"
     "anthropic-ratelimit-output-tokens-reset: 2025-01-01t00:00:00z", 0.0),
    ("anthropic-ratelimit-tokens-remaining: 0\n"
     "anthropic-ratelimit-tokens-reset: 2026-13-01t00:00:00z", LOW_SECONDS),
])
def test_fields(text: str, seconds: float) -> None:
    assert low_seconds(head(text), NOW_MS) == pytest.approx(seconds)


@given(st.text(alphabet="0123456789msh.:-tz+, x", max_size=40), st.integers(0, 2 ** 45))
def test_nothing_that_a_provider_writes_breaks_it(value: str, now_ms: int) -> None:
    text = f"x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: {value}"
    assert 0 <= low_seconds(head(text), now_ms) <= LOW_SECONDS_MAX
