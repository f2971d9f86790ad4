"""Fields of the relay's own limits, in the formats that SDKs and agents read."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from relayd.core.provider import Api
from relayd.wire.limit_fields import LIMIT_FIELDS, duration, limit_lines

NOW_MS = 1_790_000_000_000
SOME = (60, 59, 1_000)
MORE = (9_000, 0, 90_500)


@pytest.mark.parametrize(("ms", "text"), [
    (0, "0s"), (-3, "0s"), (1, "1ms"), (120, "120ms"), (999, "999ms"), (1_000, "1s"),
    (1_182, "1.182s"), (59_999, "59.999s"), (60_000, "1m0s"), (360_000, "6m0s"),
    (90_500, "1m30.5s"),
])
def test_durations(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_openai() -> None:
    assert limit_lines("openai", SOME, MORE, NOW_MS).decode().split("\r\n") == [
        "x-ratelimit-limit-requests: 60", "x-ratelimit-remaining-requests: 59",
        "x-ratelimit-reset-requests: 1s", "x-ratelimit-limit-tokens: 9000",
        "x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 1m30.5s", ""]
    assert limit_lines("openai", SOME, MORE, NOW_MS) == (
        limit_lines("openai", SOME, None, NOW_MS) + limit_lines("openai", None, MORE, NOW_MS))


def test_anthropic() -> None:
    assert limit_lines("anthropic", None, MORE, NOW_MS).decode().split("\r\n") == [
        "anthropic-ratelimit-tokens-limit: 9000", "anthropic-ratelimit-tokens-remaining: 0",
        "anthropic-ratelimit-tokens-reset: 2026-09-21T14:14:50.500Z", ""]


def test_nothing_to_say() -> None:
    assert limit_lines("gemini", SOME, MORE, NOW_MS) == b""
    assert limit_lines("openai", None, None, NOW_MS) == b""


def test_the_list_names_what_is_sent() -> None:
    sent = re.findall(rb"([a-z-]+): ", b"".join(
        limit_lines(api, SOME, MORE, NOW_MS) for api in get_args(Api)))
    assert {name.decode() for name in sent} == set(LIMIT_FIELDS)
