"""The way of one call over its deployments: next place, wait, other model, end.

Law: all of it happens before a byte of a reply has gone to the client; every step is one that
core/retry.py allows, within the route's budget and the client's patience. However it ends: no
attempt but the one that is returned is left open, no permit but its own is held.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.health import Level, State
from relayd.core.retry import kind_of, wait
from relayd.ops.tasks import PAUSE
from relayd.relay.exchange import Exchange
from relayd.relay.faults import Fault
from relayd.relay.hedge import Hedge
from relayd.relay.plan import Place, Plan, Step
from relayd.relay.upstream import Attempt

if TYPE_CHECKING:
    from relayd.relay.dispatch import Dispatcher

RETRY_AFTER_SECONDS_MAX: Final = 60
_PATIENCE_FIELDS: Final = (b"x-stainless-read-timeout", b"x-stainless-timeout")
"""What the official SDKs say of their own timeouts, in seconds: `600`, or `20.0` where a Python
program gave a float."""
_SECONDS: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def patience_of(exchange: Exchange) -> float:
    """Seconds that the client will wait from the call's start; for ever where it does not say."""
    for name in _PATIENCE_FIELDS:
        value = exchange.head.fields.get(name, b"")
        if _SECONDS.fullmatch(value):
            return float(value)
    return math.inf


class Journey:
    """One call's attempts; `run` once."""

    def __init__(self, dispatcher: Dispatcher, exchange: Exchange, plan: Plan) -> None:
        self._dispatcher = dispatcher
        self._plane = dispatcher.plane
        self._exchange = exchange
        self._plan = plan
        self._line: deque[Step] = deque()
        self._again: list[tuple[Step, float | None]] = []
        self._later: deque[tuple[float, Step]] = deque()
        self._rounds = 0
        self._kind = "next"
        self._fell_back = False
        self._reasons: set[str] = {"unavailable"}
        self._refused: dict[Place, int] = {}
        self._fault: Fault | None = None
        self._until = exchange.started + patience_of(exchange)

    async def run(self, failed: tuple[Place, Fault] | None = None) -> Attempt:
        """The attempt whose reply goes to the client; raises what the client is told instead.

        `failed` is what came of a first attempt that was made without all this.
        """
        if failed is None:
            self._line.extend(self._dispatcher.steps(self._exchange, self._plan))
        else:
            self._take(failed[0], self._exchange.provider_model or "", failed[1])
            if failed[1].error is not None and self._too_late():
                raise failed[1].error
        while True:
            step = self._next()
            if step is not None:
                attempt = await self._try(*step)
                if attempt is not None:
                    return attempt
            elif not await self._more():
                return self._end()

    def _next(self) -> Step | None:
        now = self._plane.now()
        while self._line:
            place, model = self._line.popleft()
            if place.level(now) is Level.OUT:
                continue
            if self._fault is not None and not self._may_go_on(now):
                self._stop()
                self._fell_back = True
                return None
            return place, model
        return None

    def _may_go_on(self, now: float) -> bool:
        assert self._fault is not None
        budget = self._plan.budget
        if now >= self._until:
            return False
        if self._fault.rule.sent:
            return budget.spend(now)
        budget.note(now)
        return True

    async def _try(self, place: Place, model: str) -> Attempt | None:
        """One attempt; None where it failed and there may be another way."""
        exchange = self._exchange
        self._let_go()
        if self._fault is not None:
            self._plane.metrics.retried(place.provider.name, self._kind)
        trials = place.health.begin(self._plane.now())
        attempt: Attempt | None = None
        try:
            await self._enter(place)
            place, attempt = await self._ask(place, model)
            model = exchange.provider_model or model  # a hedge may have won
            fault = await self._plane.faults.of_reply(exchange, attempt)
        except RelayError as error:
            if error.kind.side != "upstream" or self._too_late():
                raise
            attempt = exchange.attempt
            fault = Fault(kind_of(error.code), error.with_traceback(None))  # this frame keeps it
        finally:
            for circuit in trials:
                circuit.gave_up()
        self._plane.faults.note(place, attempt, fault)
        if fault is None:
            return attempt
        self._take(place, model, fault)
        return None

    async def _ask(self, place: Place, model: str) -> tuple[Place, Attempt]:
        exchange, sender = self._exchange, self._plane.sender
        if not self._plan.route.hedge_ms or exchange.ask is None or not self._line:
            return place, await sender.attempt(exchange, place, model)
        hedge = Hedge(self._plane, exchange, (place, model), self._spare)
        return await hedge.run(self._plan.route.hedge_ms / 1000)

    def _spare(self) -> Step | None:
        """Another place for a hedge; it is then no longer in line."""
        if self._exchange.client_gone:  # the first is read on for its figures alone
            return None
        now = self._plane.now()
        for step in self._line:
            gate = step[0].gate
            if (step[0].level(now) is Level.READY and (gate is None or not gate.limit)
                    and step[0].health.state(now) is State.HEALTHY):
                if not self._plan.budget.spend(now):
                    return None
                self._line.remove(step)
                self._plane.metrics.retried(step[0].provider.name, "hedge")
                return step
        return None

    def _too_late(self) -> bool:
        """Whether the provider's total time has passed: it bounds the whole call."""
        place = self._exchange.place
        total = 0.0 if place is None else place.provider.timeouts.total
        return bool(total) and self._plane.now() >= self._exchange.started + total

    async def _enter(self, place: Place) -> None:
        """Takes a place at a deployment's gate, or waits for one; raises upstream_busy."""
        gate = place.gate
        if gate is None:
            return
        exchange = self._exchange
        # soon and not at once: who gives a place back must not run the stories of all who wait
        permit = exchange.permit = gate.enter(
            lambda: self._plane.call_later(0.0, exchange.wake))
        if permit is None:
            raise RelayError("upstream_busy", retry_after_seconds=1)
        if not permit.held:
            await self._pause(place.deployment.queue_seconds, lambda: permit.held)
        if not permit.held:
            raise RelayError("upstream_busy", retry_after_seconds=1)
        exchange.ready = self._plane.now()

    def _take(self, place: Place, model: str, fault: Fault) -> None:
        """Draws the conclusions from a fault."""
        self._fault = fault
        rule = fault.rule
        self._reasons = {rule.reason or ""}
        if self._exchange.upload is not None and rule.sent:  # it was sent, and cannot be twice
            self._stop()
            self._fell_back = True
            return
        if not rule.onward:
            self._stop()
        if rule.again and not fault.final:
            self._again.append(((place, model), fault.asked))
        if rule.scope == "credential":
            refused = self._refused[place] = self._refused.get(place, 0) + 1
            credentials = place.health.credentials
            if refused < len(credentials) and credentials.ready(self._plane.now()):
                self._line.appendleft((place, model))

    def _stop(self) -> None:
        """Nothing of what could be tried will be."""
        self._line.clear()
        self._again.clear()
        self._later.clear()

    def _wait_again(self) -> None:
        """When each place may be asked again. Who has asked for a longer wait is not asked with
        the others; who has asked for none comes with the first."""
        steps, self._again = self._again, []
        exchange, now = self._exchange, self._plane.now()
        left = min(self._until, exchange.last_deadline or math.inf) - now
        able = [(seconds, asked, step) for step, asked in steps if (
            seconds := wait(self._rounds, self._plane.dice(), asked, left)) is not None]
        first = min((seconds for seconds, _, _ in able), default=0.0)
        self._rounds += 1
        self._later.extend(sorted(
            ((now + (first if asked is None else seconds), step)
             for seconds, asked, step in able), key=lambda one: one[0]))

    async def _more(self) -> bool:
        """Fills the line again: the same places after a wait, then the models to fall back to."""
        if not self._later and self._again and self._rounds < self._plan.route.retries:
            self._wait_again()
        if self._later:
            self._let_go(keep_attempt=True)
            due = self._later[0][0]
            await self._pause(due - self._plane.now(), lambda: False)
            while self._later and self._later[0][0] <= due:
                self._line.append(self._later.popleft()[1])
            self._kind = "again"
            return True
        route = self._plan.route
        if self._fell_back or not self._reasons.intersection(route.fallback_on):
            return False
        self._fell_back = True
        self._kind = "fallback"
        for name in route.fallback:
            self._line.extend(self._dispatcher.fallback(self._exchange, name))
        return bool(self._line)

    async def _pause(self, seconds: float, enough: Callable[[], bool]) -> None:
        """Waits; the client may leave meanwhile."""
        exchange, plane = self._exchange, self._plane
        exchange.deadline = 0.0
        due = plane.now() + seconds
        timer = plane.call_later(seconds, exchange.wake)
        try:
            while plane.now() < due and not enough():
                await PAUSE
        finally:
            timer.cancel()

    def _end(self) -> Attempt:
        fault = self._fault
        if fault is None:
            seconds = math.ceil(self._plan.wait(self._plane.now()))
            raise RelayError("upstream_down",
                             retry_after_seconds=min(max(seconds, 1), RETRY_AFTER_SECONDS_MAX))
        if fault.attempt is not None:
            return fault.attempt
        assert fault.error is not None
        raise fault.error

    def _let_go(self, keep_attempt: bool = False) -> None:
        """The last attempt's connection and place are given back."""
        exchange = self._exchange
        if exchange.attempt is not None and not keep_attempt:
            exchange.attempt.close()
            exchange.attempt = None
        if exchange.permit is not None:
            exchange.permit.release()
            exchange.permit = None
