"""An exchange's state: whose fault its end is, and that it shows nothing of its content."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.core.errors import RelayError
from relayd.core.exchange import Phase
from relayd.core.usage import Ending, Outcome
from relayd.relay.exchange import Exchange, Memo
from relayd.relay.upstream import Attempt
from relayd.wire.dialect import target_of
from relayd.wire.http import HeadLimits, read_head
from relayd.wire.replyhead import ReplyHead

SECRET = b"the-prompt"
RAW = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer the-prompt\r\n"
       b"Content-Length: 10\r\n\r\n")


def exchange(phase: Phase = Phase.RECEIVED) -> Exchange:
    head = read_head(RAW, HeadLimits(1000, 10, 100))
    head.memo = Memo(target_of(head.path, "openai"))
    connection: Any = None
    policy: Any = None
    made = Exchange(connection, head, policy, "01J", 1, 2.0)
    made.phase = phase
    return made


@pytest.mark.parametrize(("phase", "code", "outcome"), [
    (Phase.RECEIVED, "invalid_json", "refused"),
    (Phase.ADMITTED, "unknown_model", "refused"),
    (Phase.RECEIVED, "internal", "refused"),
    (Phase.DISPATCHED, "upstream_connect", "provider_error"),
    (Phase.DISPATCHED, "upstream_timeout", "provider_error"),
    (Phase.DISPATCHED, "provider_quota", "provider_error"),
    (Phase.STREAMING, "upstream_truncated", "provider_truncated"),
    (Phase.STREAMING, "upstream_stalled", "provider_truncated"),
    (Phase.STREAMING, "draining", "interrupted"),
    (Phase.DISPATCHED, "draining", "interrupted"),
    (Phase.STREAMING, "internal", "interrupted"),
    (Phase.DISPATCHED, "request_timeout", "client_left"),
    (Phase.DISPATCHED, "body_too_large", "client_left"),
])
def test_whose_fault(phase: Phase, code: str, outcome: Outcome) -> None:
    made = exchange(phase)
    made.attempts = int(phase >= Phase.DISPATCHED)
    made.fail(RelayError(code))
    assert (made.error, made.outcome) == (code, outcome)


@pytest.mark.parametrize(("code", "outcome"), [
    ("body_too_large", "refused"), ("request_timeout", "refused"), ("draining", "interrupted")])
def test_an_upload_that_no_provider_has_a_part_of_is_refused(code: str, outcome: Outcome) -> None:
    """Its connection is being opened, and the rest of the body is not as it has to be."""
    made = exchange(Phase.DISPATCHED)
    made.fail(RelayError(code))
    assert (made.attempts, made.outcome) == (0, outcome)


def test_a_client_that_left_keeps_the_status_it_got() -> None:
    made = exchange(Phase.STREAMING)
    made.status = 200
    made.leave()
    assert (made.outcome, made.error, made.status) == ("client_left", "client_left", 200)


def attempted(made: Exchange, error: str | None = None, status: int = 0) -> Exchange:
    """The same with an attempt that failed, or whose reply's head has come."""
    attempt = made.attempt = Attempt(made.wake)
    if error is not None:
        attempt.error = RelayError(error)
    if status:
        attempt.head = ReplyHead(status, (), None, True, b"", False)
    return made


@pytest.mark.parametrize(("made", "ending"), [
    (exchange(Phase.ADMITTED), "left_unserved"),
    (exchange(Phase.DISPATCHED), "left_unserved"),
    (attempted(exchange(Phase.DISPATCHED)), "left"),
    (attempted(exchange(Phase.DISPATCHED), status=200), "left"),
    (attempted(exchange(Phase.DISPATCHED), status=503), "left_unserved"),
    (attempted(exchange(Phase.DISPATCHED), "upstream_reset"), "left_unserved"),
    (exchange(Phase.STREAMING), "left"),
])
def test_whether_a_provider_had_what_its_client_left(made: Exchange, ending: Ending) -> None:
    made.leave()
    assert made.ending == ending


@pytest.mark.parametrize(("reply", "ending"), [
    ("completed", "left_drained"), ("provider_error", "left_unserved"),
    ("provider_truncated", "left_cut_off"), ("provider_failed", "left_cut_off"),
    ("left", "left_cut_off"), ("stopped", "left_cut_off"), ("left_unserved", "left_unserved"),
])
def test_a_reply_that_is_read_on_changes_nothing_that_the_client_got(
    reply: Ending, ending: Ending
) -> None:
    made = exchange(Phase.STREAMING)
    made.end_abandoned()
    assert (made.ending, made.error) == ("refused", None)
    made.status, made.first_byte = 200, 3.5
    made.abandon()
    made.status, made.first_byte, made.ending = 502, 9.0, reply
    made.end_abandoned()
    assert (made.ending, made.error) == (ending, "client_left")
    assert (made.status, made.first_byte) == (200, 3.5)


def test_without_a_story_nobody_is_woken() -> None:
    made = exchange()
    made.wake()
    made.interrupt(RelayError("internal"))
    assert made.phase == Phase.RECEIVED


def test_content_is_dropped_and_never_shown() -> None:
    made = exchange()
    made.pieces.append(SECRET)
    for shown in (repr(made), repr(made.head), repr(made.head.memo), str(made)):
        assert SECRET.decode() not in shown
    made.drop_body()
    assert not made.pieces and made.ask is None and made.upload is None


def test_an_exchange_takes_no_stray_attributes() -> None:
    with pytest.raises(AttributeError):
        exchange().anything = 1  # type: ignore[attr-defined]
