"""Dispatch: from a model's name to the attempt whose reply goes to the client.

Law: nothing is sent again once a byte of a reply has gone to the client; before that only what
core/retry.py allows. The usual call, one healthy deployment and nothing to choose, takes the short
way; relay/journey.py has the long one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.record import MODEL_UNKNOWN
from relayd.core.retry import kind_of
from relayd.core.route import Route, nearest
from relayd.core.snapshot import KeyGrant
from relayd.core.wildcard import Wildcard
from relayd.relay.exchange import Exchange
from relayd.relay.faults import Fault, begins_well
from relayd.relay.journey import Journey
from relayd.relay.plan import Cost, Place, Plan, Step, consent_error, given
from relayd.relay.sticky import Sticky
from relayd.relay.upstream import Attempt
from relayd.relay.wallet import all_priced

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

NAMES_MAX: Final = 1024
"""Names that are remembered, of each API; then all are forgotten, and looked up again."""
NAME_LENGTH_MAX: Final = 256


def allowed(grant: KeyGrant, model: str) -> bool:
    """Whether a key may use a model; `*` in a name of its list stands for any text."""
    models = grant.models
    if models is None or model in models:
        return True
    return any("*" in m and Wildcard(m).stands_for(model) for m in models)


def may_use(grant: KeyGrant, route: Route | None, model: str) -> bool:
    """The same for a name that a route serves: an alias stands for the route's own name."""
    if grant.models is None or allowed(grant, model):
        return True
    return route is not None and model in route.aliases and allowed(grant, route.pattern)


def models_of(exchange: Exchange) -> Iterator[str]:
    """The names that a key may use over the API that was called."""
    policy, grant, api = exchange.policy, exchange.grant, exchange.target.api
    assert grant is not None
    for name in policy.model_names[api]:
        route = policy.routes.find(name)
        if may_use(grant, route, name) and (route is None or not refused_for_its_price(
                exchange, policy.plans[api, route.pattern], name)):
            yield name


def refused_for_its_price(exchange: Exchange, plan: Plan, model: str) -> bool:
    """Whether a model is taken for unknown because nobody knows what it costs."""
    return exchange.policy.billing.unpriced == "refuse" and not all_priced(exchange, plan, model)


def unknown_model(exchange: Exchange, model: str) -> RelayError:
    """The error that names those that may have been meant."""
    names = ", ".join(nearest(model, islice(models_of(exchange), NAMES_MAX)))
    return RelayError("unknown_model", param="model",
                      detail=f"The nearest: {names}." if names else "")


class Dispatcher:
    """Sends exchanges upstream."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self._sticky = Sticky()

    def plan(self, exchange: Exchange, model: str) -> Plan:
        """The deployments that serve a model.

        Raises unknown_model, model_not_allowed, or cross_border_consent_required or
        training_consent_required where all that serve it need what the account has not agreed to.
        """
        policy, grant, api = exchange.policy, exchange.grant, exchange.target.api
        assert grant is not None
        direct = policy.direct[api]
        if grant.models is None and model in direct:
            exchange.model = model
            return direct[model]
        route = policy.routes.find(model)
        if route is None:
            exchange.model = MODEL_UNKNOWN
            raise unknown_model(exchange, model)
        exchange.model = model
        if not may_use(grant, route, model):
            raise RelayError("model_not_allowed", param="model")
        plan = policy.plans[api, route.pattern]
        if not plan.places:
            raise unknown_model(exchange, model)
        if refused_for_its_price(exchange, plan, model):
            raise RelayError("unknown_model", param="model", detail="It has no price here.")
        if plan.asks:
            narrowed = policy.consented(api, route, grant)
            if not narrowed.places:
                raise consent_error(plan.lacking(given(grant)))
            return narrowed
        if len(model) <= NAME_LENGTH_MAX:
            if len(direct) >= NAMES_MAX:
                direct.clear()
            direct[model] = plan
        return plan

    def begin(self, exchange: Exchange, plan: Plan) -> Attempt | None:
        """Sends a usual call over a kept connection; None: nothing was done, `send` has to.

        With the attempt `send` can go on.
        """
        if not plan.simple:
            return None
        place = plan.places[0]
        health = place.health
        if health.reach.troubled or health.circuit.troubled:
            return None
        connection = place.pool.take()
        if connection is None:
            return None
        plan.budget.call(exchange.started)
        sender = self.plane.sender
        model = place.sends or exchange.model or ""
        try:
            sender.announce(exchange, place, model)
        except Exception:
            place.pool.give_back(connection)
            raise
        return sender.put(exchange, place, model, connection)

    def served(self, plan: Plan) -> None:
        """A usual call's answer has come, and is good."""
        place = plan.places[0]
        place.health.reach.good += 1
        place.health.circuit.good += 1
        self.plane.metrics.attempt(place.provider.name, "head")

    async def send(
        self, exchange: Exchange, plan: Plan, begun: Attempt | None = None
    ) -> Attempt:
        """Returns the attempt whose reply's head has come; raises what the client is told.

        `begun` is an attempt that `begin` has sent.
        """
        if begun is None:
            plan.budget.call(exchange.started)
            if not plan.simple:
                return await Journey(self, exchange, plan).run()
        plane = self.plane
        place = plan.places[0]
        health = place.health
        if begun is None and (health.reach.troubled or health.circuit.troubled):
            return await Journey(self, exchange, plan).run()
        attempt: Attempt | None = None
        try:
            attempt = await plane.sender.attempt(
                exchange, place, place.sends or exchange.model or "", begun)
            assert attempt.head is not None
            early = exchange.stream and exchange.target.api == "anthropic"
            fault = None
            # where another model may be asked, a reply without a body is no answer yet
            if (attempt.head.status >= 300 or early and not begins_well(attempt)
                    or plan.route.fallback):
                fault = await plane.faults.of_reply(exchange, attempt)
            if fault is None:
                health.reach.good += 1
                health.circuit.good += 1
                return attempt
        except RelayError as error:
            if error.kind.side != "upstream":
                raise
            attempt = exchange.attempt
            fault = Fault(kind_of(error.code), error.with_traceback(None))  # this frame keeps it
        plane.faults.note(place, attempt, fault)
        return await Journey(self, exchange, plan).run((place, fault))

    def steps(self, exchange: Exchange, plan: Plan) -> list[Step]:
        """The plan's places in the order of this moment."""
        return self._named(exchange, plan, exchange.model or "")

    def fallback(self, exchange: Exchange, model: str) -> list[Step]:
        """The same for a model that is asked instead; the route that names it allows it."""
        policy, grant = exchange.policy, exchange.grant
        assert grant is not None
        route = policy.routes.find(model)
        if route is None:
            return []
        return self._named(exchange, policy.consented(exchange.target.api, route, grant), model)

    def _named(self, exchange: Exchange, plan: Plan, model: str) -> list[Step]:
        route = plan.route
        key = self._sticky.key(exchange) if route.sticky and len(plan.places) > 1 else None
        cost = self._cost(exchange, model) if route.strategy == "cheapest" else None
        places = plan.order(self.plane.now(), self.plane.dice(), key, cost)
        return [(place, place.sends or model) for place in places]

    def _cost(self, exchange: Exchange, asked: str) -> Cost:
        """What three tokens of input and one of output cost: a conversation's usual mixture."""
        prices = exchange.policy.prices

        def cost(provider: str, model: str) -> int | None:
            price = prices.find(provider, model or asked, exchange.started_at_ms)
            return None if price is None else 3 * price.prices.input + price.prices.output

        return cost

    def places(self, exchange: Exchange, plan: Plan) -> Sequence[Place]:
        """For who asks deployments himself; raises upstream_down where none is left."""
        plan.budget.call(exchange.started)
        steps = self.steps(exchange, plan)
        if not steps:
            raise RelayError("upstream_down", retry_after_seconds=1)
        return [place for place, _ in steps]
