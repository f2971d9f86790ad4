"""Tests of the faults on request."""

from __future__ import annotations

import orjson
import pytest

from relayd.core.provider import Api
from relayd.demo import failures
from relayd.demo.failures import SOUND, STATUSES, Fault, error_body, fault_of, stream_error


@pytest.mark.parametrize(("model", "expected"), [
    ("demo-429", Fault("status", 429)), ("demo-529", Fault("status", 529)),
    ("demo-cut", Fault("cut")), ("demo-error", Fault("error")), ("demo-stall", Fault("stall")),
    ("demo-noend", Fault("noend")), ("demo-html", Fault("html")),
    ("demo-slow", Fault("slow", seconds=20.0)), ("demo-slow-0", Fault("slow", seconds=0.0)),
    ("demo-slow-3", Fault("slow", seconds=3.0)), ("demo-slow-999", Fault("slow", seconds=600.0)),
    ("demo-200", SOUND), ("demo-long", SOUND), ("demo", SOUND), ("demo-429x", SOUND),
    ("gpt-429", SOUND), ("", SOUND),
])
def test_names(model: str, expected: Fault) -> None:
    assert fault_of(model) == expected


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_in_every_dialect(status: int) -> None:
    openai = error_body("openai", status)["error"]
    assert set(openai) == {"message", "type", "param", "code"} and openai["type"]
    anthropic = error_body("anthropic", status)
    assert anthropic["type"] == "error" and set(anthropic["error"]) == {"type", "message"}
    gemini = error_body("gemini", status)["error"]
    assert gemini["code"] == status and gemini["status"].isupper()
    assert str(status) in gemini["message"]


def test_a_message_of_ones_own() -> None:
    assert error_body("openai", 418, "no tea")["error"]["message"] == "no tea"


def test_waiting_helps_where_it_is_said() -> None:
    told = [status for status in STATUSES if failures.error_fields(status)]
    assert told == [429, 503, 529]


@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini"])
def test_an_error_in_a_stream_is_an_event(api: Api) -> None:
    event = stream_error(api)
    assert event.endswith(b"\n\n")
    data = orjson.loads(event.split(b"data: ")[1])
    assert data["error"]["message"]
    assert api != "gemini" or data["error"]["code"] == 503
