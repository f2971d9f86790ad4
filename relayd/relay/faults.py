"""What became of an attempt: a row of core/retry.py, and what it says of the deployment's health.

Law: an error's body is read whole before it is judged, bounded, and stays in its attempt, so that
it can still be told to the client as it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from relayd.core.errors import RelayError
from relayd.core.retry import RULES, Rule, kind_of
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import Exchange
from relayd.relay.plan import Place
from relayd.relay.streamer import ERROR_BODY_BYTES_MAX
from relayd.relay.upstream import Attempt
from relayd.wire.anonymous import ERROR
from relayd.wire.headers import asked_seconds
from relayd.wire.provider_error import asked_delay, judge, words_of
from relayd.wire.ratelimit import low_seconds

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

FIRST_EVENT_SECONDS: Final = 0.25
"""How long the head of a Messages stream waits for the first event, which mostly comes with it;
less where heartbeats are more frequent."""
_FIRST_EVENT: Final = re.compile(
    rb"\s*(?:event:[ ]?error\r?\n)?data:[ ]?(\{[^\r\n]*\})\r?\n\r?\n")
_MESSAGE_START: Final = b"event: message_start\n"
_ERROR_START: Final = b"event: error"
_EARLY: Final = frozenset({"provider_failed", "provider_rate_limited"})


def begins_well(attempt: Attempt) -> bool:
    """Whether what has come of a Messages stream shows that it begins with no error."""
    return attempt.error is None and attempt.peek().startswith(_MESSAGE_START)


class Fault(NamedTuple):
    """An attempt that failed. `attempt` is there where the provider answered with an error."""

    kind: str
    error: RelayError | None
    attempt: Attempt | None = None
    asked: float | None = None
    """Seconds that the provider asks to wait."""
    final: bool = False
    """The provider says that it makes no sense to try again."""

    @property
    def rule(self) -> Rule:
        """What follows from it."""
        return RULES[self.kind]


class Faults:
    """Judges attempts and keeps the health of deployments."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def of_reply(self, exchange: Exchange, attempt: Attempt) -> Fault | None:
        """The fault in a reply whose head has come; None where it is to be passed on."""
        head = attempt.head
        assert head is not None
        if head.status >= 400:
            return await self._of_error(exchange, attempt)
        if 300 <= head.status < 400 and head.status != 304:
            return Fault("protocol", RelayError("upstream_protocol"))
        if exchange.stream and exchange.target.api == "anthropic":
            return await self._of_first_event(exchange, attempt)
        if not head.content_type.startswith(b"text/event-stream"):
            while not attempt.complete and attempt.error is None and not attempt.peek():
                await PAUSE
            if attempt.error is not None:
                return Fault(kind_of(attempt.error.code), attempt.error)
        return None

    async def _of_error(self, exchange: Exchange, attempt: Attempt) -> Fault:
        head = attempt.head
        assert head is not None
        while not attempt.complete and attempt.error is None:
            if len(attempt.peek()) > ERROR_BODY_BYTES_MAX:
                break
            await PAUSE
        if attempt.error is not None:
            return Fault(kind_of(attempt.error.code), attempt.error)
        if len(attempt.peek()) > ERROR_BODY_BYTES_MAX:
            attempt.close()
            return Fault(kind_of("provider_rejected", head.status),
                         RelayError("provider_failed", status=head.status))
        body = attempt.peek() if not head.coded else b""
        code = judge(exchange.target.api, head.status, body, ()).code
        kind = kind_of(code, head.status, words_of(body))
        final = (b"x-should-retry", b"false") in head.fields
        asked = asked_seconds(head.fields, head.raw, self._plane.unix_ms())
        if asked is None and exchange.target.api == "gemini":
            asked = asked_delay(body)
        return Fault(kind, None, attempt, asked, final)

    async def _of_first_event(self, exchange: Exchange, attempt: Attempt) -> Fault | None:
        """An overload that is told as the first event: nothing was done, and nothing passed."""
        plane = self._plane
        hold = min(FIRST_EVENT_SECONDS, (exchange.policy.server.heartbeat_seconds or 1.0) / 2)
        due = plane.now() + hold
        timer = None
        try:
            while (_may_be_error(attempt.peek()) and not attempt.complete
                   and attempt.error is None and plane.now() < due):
                timer = timer or plane.call_later(hold, exchange.wake)
                await PAUSE
        finally:
            if timer is not None:
                timer.cancel()
        if attempt.error is not None:
            return Fault(kind_of(attempt.error.code), attempt.error)
        found = _FIRST_EVENT.match(attempt.peek())
        if found is None or ERROR not in found[1]:
            return None
        code = judge("anthropic", 200, found[1], ()).code
        if code not in _EARLY:
            return None
        return Fault("overloaded" if code == "provider_failed" else "rate_limited", None, attempt)

    def note(self, place: Place, attempt: Attempt | None, fault: Fault | None) -> None:
        """Takes what became of an attempt into account. No fault: its reply is passed on."""
        health = place.health
        now = self._plane.now()
        turn = 0 if attempt is None else attempt.turn
        if fault is None or fault.rule.scope == "nobody":
            if attempt is not None and attempt.head is not None:
                health.answered()
                health.credentials.answered(turn)
                self._steer(place, attempt, now)
            return
        if fault.rule.scope == "provider":
            health.reach.failed(now, fault.rule.hard)
            return
        if attempt is not None and attempt.head is not None:
            health.reach.answered()
        if fault.rule.scope == "credential":
            health.credentials.rest(turn, now, fault.asked)
            health.circuit.troubled = True  # so that the next answer ends its strikes
        else:
            health.circuit.failed(now, fault.rule.hard)

    def _steer(self, place: Place, attempt: Attempt, now: float) -> None:
        """Where the provider says that little is left, others go first; and how fast it was."""
        assert attempt.head is not None
        place.health.latency.observe(now, now - attempt.began)
        seconds = low_seconds(attempt.head.raw, self._plane.unix_ms())
        if seconds:
            place.health.credentials.spare(attempt.turn, now, seconds)


def _may_be_error(data: bytes) -> bool:
    """Whether more has to come to see that a stream does not begin with an error."""
    data = data.lstrip()[:ERROR_BODY_BYTES_MAX]
    if not _ERROR_START.startswith(data[:len(_ERROR_START)]):
        return False
    return b"\n\n" not in data and b"\r\n\r\n" not in data and len(data) < ERROR_BODY_BYTES_MAX
