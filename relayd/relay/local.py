"""What the relay answers by itself: model lists, probes, preflights, paths it does not serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayd.core.errors import RelayError
from relayd.core.provider import DataTerms
from relayd.ops.tasks import PAUSE
from relayd.relay.dispatch import may_use, models_of, refused_for_its_price, unknown_model
from relayd.relay.exchange import Exchange
from relayd.relay.reply import JSON
from relayd.relay.socketed import PATH as SOCKET_PATH
from relayd.relay.socketed import serve_responses
from relayd.wire.handshake import wants_websocket
from relayd.wire.modellist import model_entry, model_list

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

PROBES: Final = frozenset({"/", "/api/hello"})
"""Paths that agents ask with HEAD before they start: answered 200 at once, without a key."""
PREFLIGHT_SECONDS: Final = b"600"
_GET: Final = frozenset({b"GET", b"HEAD"})


class Local:
    """Answers that need no provider."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def before_key(self, exchange: Exchange) -> bool:
        """Answers what needs no key; False where the request is an ordinary one."""
        head = exchange.head
        if head.method == b"POST":
            return False
        if head.method == b"OPTIONS":
            self._preflight(exchange)
            return True
        if head.path in PROBES and head.method in _GET:
            self._plane.replier.answer(exchange, 200, (), b"")
            return True
        return False

    def _preflight(self, exchange: Exchange) -> None:
        """A browser asks before it sends a key (Fetch standard, CORS-preflight)."""
        fields = exchange.head.fields
        origin = fields.get(b"origin")
        answer: list[tuple[bytes, bytes]] = []
        if origin is not None and self._plane.replier.origin_allowed(origin):
            wanted = fields.get(b"access-control-request-headers", b"authorization, content-type")
            answer = [
                (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
                (b"access-control-allow-headers", wanted),
                (b"access-control-max-age", PREFLIGHT_SECONDS),
            ]
        else:
            answer = [(b"allow", b"GET, HEAD, POST, OPTIONS")]
        self._plane.replier.answer(exchange, 204, answer, b"")

    async def answer(self, exchange: Exchange) -> None:
        """Answers a request that has a key and no endpoint at a provider."""
        head = exchange.head
        target = exchange.target
        if wants_websocket(head):
            exchange.keep_alive = False
            if head.path != SOCKET_PATH:
                raise RelayError("not_found")
            # agents ask here first, and over HTTP at once where it is not served
            if not exchange.policy.server.responses_websocket:
                raise RelayError("websocket_not_served")
            await serve_responses(self._plane, exchange)
            return
        if target.kind == "stateful":
            raise RelayError("stateful_endpoint")
        if target.kind == "none":
            raise RelayError("not_found")
        if target.kind == "call" or head.method not in _GET:
            raise RelayError("method_not_allowed")
        while not exchange.body_complete:
            exchange.connection.invite_body()
            await PAUSE
        exchange.pieces.clear()
        self._models(exchange)

    def _models(self, exchange: Exchange) -> None:
        plane = self._plane
        target = exchange.target
        assert exchange.grant is not None
        grant = exchange.grant
        if target.model is None:
            body = model_list(target.api, list(models_of(exchange)), exchange.head.query,
                              lambda name: _terms(exchange, name))
        else:
            route = exchange.policy.routes.find(target.model)
            plan = None if route is None else exchange.policy.plans[target.api, route.pattern]
            if plan is None or not plan.places or not may_use(grant, route, target.model) \
                    or refused_for_its_price(exchange, plan, target.model):
                raise unknown_model(exchange, target.model)
            body = model_entry(target.api, target.model, _terms(exchange, target.model))
        exchange.ending = "completed"
        plane.replier.answer(exchange, 200, (JSON,), body)


def _terms(exchange: Exchange, model: str) -> DataTerms:
    """What becomes of content wherever this account's calls of a model may go."""
    policy, grant = exchange.policy, exchange.grant
    route, api = policy.routes.find(model), exchange.target.api
    assert route is not None and grant is not None
    plan = policy.consented(api, route, grant)
    return plan.terms if plan.places else policy.plans[api, route.pattern].terms
