"""The access log: off unless asked for, one line a call, nothing of clients in it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from relayd.core.record import CallRecord
from relayd.ops.accesslog import AccessLog
from relayd.ops.config import LogConfig
from relayd.ops.logging import Logger
from tests.fakes.records import START_MS, call_record


def written(config: LogConfig, *records: CallRecord, level: str = "info") -> list[dict[str, Any]]:
    stream = io.StringIO()
    AccessLog(Logger(level, stream), config).posted(records)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line() -> None:
    record = call_record(
        started_at_ms=START_MS, status=429, outcome="provider_error",
        error="provider_rate_limited", duration_ms=31.5)
    assert written(LogConfig("all"), record) == [{
        "time": "2026-01-01T00:00:00.000Z", "level": "info", "event": "call",
        "request_id": record.id, "api": "openai", "endpoint": "/v1/chat/completions",
        "provider": "openai", "stream": True, "status": 429,
        "outcome": "provider_error", "code": "provider_rate_limited", "attempts": 1,
        "input_tokens": 100, "output_tokens": 20, "usage_source": "reported",
        "first_byte_ms": 12.345, "duration_ms": 31.5}]


@pytest.mark.parametrize(("config", "written_outcomes"), [
    (LogConfig(), []), (LogConfig("errors"), ["client_left"]),
    (LogConfig("all"), ["completed", "client_left"]), (LogConfig("all", 0.0), ["client_left"]),
])
def test_which_calls(config: LogConfig, written_outcomes: list[str]) -> None:
    found = written(config, call_record(), call_record(outcome="client_left"))
    assert [line["outcome"] for line in found] == written_outcomes
    assert all(line["code"] is None for line in found)


def test_a_share_is_the_same_calls_every_time() -> None:
    records = [call_record() for _ in range(2000)]
    first, second = (written(LogConfig("all", 0.1), *records) for _ in range(2))
    assert first == second and 100 < len(first) < 320


def test_nothing_of_clients() -> None:
    (line,) = written(LogConfig("all"), call_record(
        account="canary", key="canary", app="canary", model="canary", provider_model="canary",
        error="canary", endpoint="/canary"))
    assert "canary" not in json.dumps(line) and line["code"] == line["endpoint"] == "other"


def test_a_higher_level_has_none() -> None:
    assert written(LogConfig("all"), call_record(), level="warning") == []
