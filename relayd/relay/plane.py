"""The data plane as a whole: what every connection and every story shares.

It is built once per process by `app`; nothing in it assumes that it is the only process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from relayd.core.errors import RelayError
from relayd.core.provider import Api, Provider
from relayd.core.route import Route, Routes
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.config import Config, ServerConfig
from relayd.ops.logging import Logger
from relayd.ops.metrics import Metrics
from relayd.ops.tasks import Tasks
from relayd.relay.counting import Counting
from relayd.relay.dispatch import Dispatcher, Place
from relayd.relay.exchange import Exchange
from relayd.relay.handler import Handler
from relayd.relay.heads import Heads
from relayd.relay.listener import ClientConnection
from relayd.relay.local import Local
from relayd.relay.meter import Meter
from relayd.relay.pool import Pool
from relayd.relay.reply import Replier
from relayd.relay.settle import Settler
from relayd.relay.stream import Streamer
from relayd.relay.view import View
from relayd.wire.body import BodyPolicy
from relayd.wire.http import HeadLimits
from relayd.wire.identity import Pseudonyms

APIS: tuple[Api, ...] = ("openai", "anthropic", "gemini")


@dataclass(frozen=True, slots=True)
class Parts:
    """What `app` gives the data plane."""

    view: View
    meter: Meter
    metrics: Metrics
    logger: Logger
    tasks: Tasks
    counting: Counting
    pepper: bytes
    pseudonym_secret: bytes
    boundary: str
    new_id: Callable[[], str]
    dice: Callable[[], float]


class Plane:
    """The shared state of the relay path; its parts are attributes, read directly."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self.server: ServerConfig = config.server
        self.providers: Mapping[str, Provider] = config.providers
        self.routes = Routes.of(config.routes)
        self.plans = {
            (api, route.pattern): _plan(config, api, route)
            for api in APIS for route in config.routes
        }
        self.view = parts.view
        self.meter = parts.meter
        self.metrics = parts.metrics
        self.logger = parts.logger
        self.counting = parts.counting
        self.pepper = parts.pepper
        self.boundary = parts.boundary
        self.new_id = parts.new_id
        self.dice = parts.dice
        self.now = monotonic
        self.unix_ms = unix_ms
        self.draining = False
        self.unsettled = 0
        self.connections: set[ClientConnection] = set()
        self.inflight: set[Exchange] = set()
        server = config.server
        self.head_limits = HeadLimits(
            server.head_bytes_max, server.header_count_max, server.target_bytes_max)
        self.body_policies = {api: _policy(config, api) for api in APIS}
        self.model_names = {api: _names(config, api) for api in APIS}
        self.secrets = {name: _secrets(p) for name, p in config.providers.items()}
        self.pools = {
            name: Pool(p, parts.tasks, parts.dice) for name, p in config.providers.items()
        }
        self.heads = Heads(config.privacy, parts.pseudonym_secret, parts.boundary)
        self._date_second = 0
        self._date = b""
        self.replier = Replier(server.cors_origins, self.date)
        self.local = Local(self)
        self.dispatcher = Dispatcher(self)
        self.streamer = Streamer(self)
        self.settler = Settler(self)
        self.handler = Handler(self)

    def date(self) -> bytes:
        """The value of Date (RFC 9110 section 6.6.1), made once a second."""
        second = self.unix_ms() // 1000
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date

    def pseudonyms(self, exchange: Exchange, provider: Provider) -> Pseudonyms:
        """What stands for an exchange's account at a provider."""
        assert exchange.grant is not None
        return self.heads.pseudonyms(exchange.grant, provider, exchange.started_at_ms)

    def drain(self) -> None:
        """Takes no more requests; connections without one are closed."""
        self.draining = True
        for connection in list(self.connections):
            if connection.exchange is None:
                connection.transport.close()
            else:
                connection.exchange.keep_alive = False

    @property
    def idle(self) -> bool:
        """True when every exchange has been settled."""
        return not self.inflight and not self.unsettled

    @property
    def quiet(self) -> bool:
        """True when it is idle and clients have taken all that was written to them."""
        return self.idle and not any(
            connection.transport.get_write_buffer_size() for connection in self.connections)

    def interrupt(self) -> None:
        """Ends every exchange that is left, and tells its client so; each still settles."""
        for exchange in list(self.inflight):
            exchange.interrupt(RelayError("draining", close=True))
        for pool in self.pools.values():
            pool.close()

    def close(self) -> None:
        """Ends every connection at once; every exchange still settles."""
        for connection in list(self.connections):
            connection.transport.abort()
        for pool in self.pools.values():
            pool.close()


def _policy(config: Config, api: Api) -> BodyPolicy:
    privacy = config.privacy
    return BodyPolicy.of(
        unknown_fields=privacy.unknown_fields,
        pass_fields=privacy.pass_fields.get(api, frozenset()),
        end_user=privacy.end_user,
        cache_key=privacy.cache_key,
        remote_mcp=privacy.remote_mcp,
    )


def _plan(config: Config, api: Api, route: Route) -> tuple[Place, ...]:
    """A route's deployments that speak this API, with their providers."""
    providers = config.providers
    return tuple(
        (d, providers[d.provider]) for d in route.deployments
        if providers[d.provider].dialect == api
    )


def _names(config: Config, api: Api) -> list[str]:
    """Route names that this API can list: exact ones with a deployment that speaks it."""
    providers = config.providers
    return [
        route.pattern for route in config.routes
        if not route.is_pattern
        and any(providers[d.provider].dialect == api for d in route.deployments)
    ]


def _secrets(provider: Provider) -> tuple[bytes, ...]:
    """What of a provider's configuration may never reach a client."""
    words = (*provider.credentials, provider.address.host, provider.organization, provider.project)
    return tuple(word.encode() for word in words if word)
