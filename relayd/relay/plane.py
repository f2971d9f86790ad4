"""The data plane as a whole: what every connection and every story shares.

It is built once per process by `app`; nothing in it assumes that it is the only process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from relayd.core.errors import RelayError
from relayd.ops.clock import monotonic, monotonic_ns, unix_ms
from relayd.ops.config import Config
from relayd.ops.configfile import hash_seed_chosen
from relayd.ops.gmac import gmac
from relayd.ops.logging import Logger
from relayd.ops.metrics import Metrics
from relayd.ops.notice import Notices
from relayd.ops.process import connections_possible, file_limit
from relayd.ops.tasks import Tasks
from relayd.relay.abandoned import Abandoned
from relayd.relay.addresses import Addresses
from relayd.relay.admit import Admission
from relayd.relay.alarm import Alarm
from relayd.relay.attribution import Applications
from relayd.relay.busy import BusyPoll
from relayd.relay.clear import ClearKeys
from relayd.relay.counting import Counting
from relayd.relay.dispatch import Dispatcher
from relayd.relay.exchange import Exchange
from relayd.relay.faults import Faults
from relayd.relay.handler import Handler
from relayd.relay.heads import Heads
from relayd.relay.listener import ClientConnection
from relayd.relay.local import Local
from relayd.relay.meter import Meter
from relayd.relay.network import NetworkLog
from relayd.relay.overload import START_SAMPLES, Overload
from relayd.relay.policy import Policy
from relayd.relay.pool import Pool
from relayd.relay.realtime import Realtime
from relayd.relay.reply import Replier
from relayd.relay.sender import Sender
from relayd.relay.settle import Settler
from relayd.relay.streamer import Streamer
from relayd.relay.turn import Turn
from relayd.relay.view import View
from relayd.relay.wallet import Wallets
from relayd.wire.body import NESTING_MAX
from relayd.wire.known import Elements, hash_is_secret
from relayd.wire.replyhead import FLAWS


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
    pseudonym_secret: Callable[[int], bytes]
    boundary: str
    new_id: Callable[[int], str]
    dice: Callable[[], float]


def _soon(work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(work)


class Plane:
    """The shared state of the relay path; its parts are attributes, read directly."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self.view = parts.view
        self.meter = parts.meter
        self.metrics = parts.metrics
        self.logger = parts.logger
        self.notices = Notices(parts.logger, monotonic)
        self.counting = parts.counting
        self.pepper = parts.pepper
        self.boundary = parts.boundary
        self.new_id = parts.new_id
        self.dice = parts.dice
        self._tasks = parts.tasks
        self._pseudonym_secret = parts.pseudonym_secret
        self.now = monotonic
        self.unix_ms = unix_ms
        self.draining = False
        self._drains_since = 0.0
        self.unsettled = 0
        self.connections: set[ClientConnection] = set()
        self.handshakes = 0
        """Connections that are accepted and not among `connections` yet."""
        self.addresses = Addresses()
        self.network = NetworkLog()
        self.clear_keys = ClearKeys()
        self.applications = Applications()
        self.inflight: set[Exchange] = set()
        self.turn = Turn(self.inflight, _soon)
        self.busy = BusyPoll(monotonic, _soon)
        self._date_second = 0
        self._date = b""
        secret = hash_is_secret(hash_seed_chosen())
        self.elements = Elements(NESTING_MAX - 2, gmac()) if secret else None
        self.overload = Overload(START_SAMPLES)
        self.abandoned = Abandoned(self)
        self.admission = Admission(monotonic_ns, unix_ms)
        self.wallets = Wallets()
        self._lowered_to = 0
        """What the log has said that `connections_max` is lowered to."""
        self.replier = self._replier(config)
        self.policy = self._policy(config, None)
        self._retired: list[Pool] = []
        self.local = Local(self)
        self.sender = Sender(self)
        self.faults = Faults(self)
        self.dispatcher = Dispatcher(self)
        self.streamer = Streamer(self)
        self.settler = Settler(self)
        self.realtime = Realtime(self)
        self.handler = Handler(self)

    def call_later(self, seconds: float, wake: Callable[[], None]) -> Alarm:
        """For the few waits that the sweep is too coarse for: never before the time by `now`."""
        return Alarm(self.now, seconds, wake)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task of the data plane, which ends with it."""
        self._tasks.spawn(name, work)

    def _replier(self, config: Config) -> Replier:
        server = config.server
        return Replier(server.cors_origins, self.date, self.view, server.tls is not None)

    def _policy(self, config: Config, old: Policy | None) -> Policy:
        config = self._within_files(config)
        heads = Heads(config.privacy, self._pseudonym_secret, self.boundary)
        return Policy(
            config, heads,
            lambda p: Pool(p, self._tasks, self.dice, self.turn, self._unreachable), old)

    def _within_files(self, config: Config) -> Config:
        """The configuration with no more client connections than the process has files for."""
        server = config.server
        upstream = sum(p.connections_max for p in config.providers.values())
        most = connections_possible(file_limit(), server.calls_max, upstream)
        if server.connections_max <= most:
            self._lowered_to = 0
            return config
        if most != self._lowered_to:
            self._lowered_to = most
            self.logger.warning("limit_lowered", reason="connections_max", limit=most)
        return replace(config, server=replace(server, connections_max=most))

    def _unreachable(self, provider: str, reason: str) -> None:
        """For the operator: the client's error does not say what is wrong, or with whom."""
        if reason in FLAWS:
            self.notices.warn("provider_reply_invalid", provider=provider, reason=reason)
        else:
            self.notices.warn("provider_unreachable", provider=provider, reason=reason)

    def adopt(self, config: Config) -> None:
        """Takes a new configuration for all exchanges that start from now on; drops no stream.

        May raise what a provider's certificate file does (OSError, ssl.SSLError): then nothing has
        changed.
        """
        old = self.policy
        new = self._policy(config, old)
        self.policy = new
        self.replier = self._replier(config)
        for name, pool in old.pools.items():
            if new.pools.get(name) is not pool:
                pool.retire()
                self._retired.append(pool)

    def pools(self) -> list[Pool]:
        """The pools of the present policy, and older ones that still have connections."""
        self._retired = [pool for pool in self._retired if pool.busy]
        return [*self.policy.pools.values(), *self._retired]

    def date(self) -> bytes:
        """The value of Date (RFC 9110 section 6.6.1), made once a second."""
        second = self.unix_ms() // 1000
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date

    def drain(self) -> None:
        """From now on every reply ends its connection, and says so; idle ones wait for `leave()`.

        A reply whose head went out before leaves its connection open: its client was told that
        it may use it again, and may just be doing so.
        """
        self.draining = True
        self._drains_since = self.now()
        self.abandoned.cut()
        for connection in self.connections:
            if connection.exchange is not None and not connection.exchange.replied:
                connection.exchange.keep_alive = False

    def leave(self, seconds: float = 0.0) -> None:
        """Closes connections that have been without a request for so long in this drain."""
        before = self.now() - seconds
        if self._drains_since > before:
            return
        for connection in list(self.connections):
            if connection.idle_since <= before:
                connection.leave()

    @property
    def idle(self) -> bool:
        """True when every exchange has been settled."""
        return not self.inflight and not self.unsettled

    @property
    def quiet(self) -> bool:
        """True when it is idle, no client may send more, and all have what was written."""
        self.turn.flush()
        return self.idle and not self.handshakes and all(
            connection.leaving and not connection.transport.get_write_buffer_size()
            for connection in self.connections)

    def interrupt(self) -> None:
        """Ends every exchange that is left, and tells its client so; each still settles."""
        for exchange in list(self.inflight):
            exchange.interrupt(RelayError("draining", close=True))
        for pool in self.pools():
            pool.close()

    def close(self) -> None:
        """Ends every connection at once; every exchange still settles."""
        self.turn.flush()
        for connection in list(self.connections):
            connection.transport.abort()
        for pool in self.pools():
            pool.close()
