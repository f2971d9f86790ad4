"""From where keys are used: one record for each connection and key, and again each hour.

Law: a call whose head has been seen costs one comparison, another one a look-up. Records wait in
a bounded buffer for the job that seals and stores them; what does not fit is counted and left
out, never waited for. Nothing of this goes upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from relayd.core.network import (
    Ip, NetworkRecord, TlsVersion, address_of, client_name, forwarded, tls_version,
)
from relayd.relay.addresses import Trusted
from relayd.relay.exchange import Exchange

if TYPE_CHECKING:
    from relayd.relay.listener import ClientConnection

AGAIN_SECONDS: Final = 3600.0
"""A connection that goes on, and a client behind a proxy, is written down again after so long."""
RECORDS_MAX: Final = 50_000
CLIENTS_MAX: Final = 100_000
"""Clients behind proxies that are remembered, by a hash; then all are forgotten, and written down
again."""
KEYS_MAX: Final = 256
"""Keys that are remembered for one connection; the same."""

Client = tuple[str | None, int | None]
"""Address and port."""
Key = TypeVar("Key")


class Peer:
    """Who is at the other end of a connection. `until`: when each key is written down again.

    `is_proxy`: an address of `trusted_proxies`, or a unix socket, which has none and is open to
    whom the operator lets at it.
    """

    __slots__ = ("address", "port", "tls", "is_proxy", "proxies", "until")

    def __init__(self, address: str | None, port: int | None, tls: TlsVersion, is_proxy: bool,
                 proxies: Sequence[str]) -> None:
        self.address = address
        self.port = port
        self.tls = tls
        self.is_proxy = is_proxy
        self.proxies = proxies
        self.until: dict[str, float] = {}


class NetworkLog:
    """Collects records until the job takes them. `lost` counts those that found no room."""

    __slots__ = ("_records", "_max", "_trusted", "_clients", "lost")

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self._records: list[NetworkRecord] = []
        self._max = records_max
        self._trusted = Trusted()
        self._clients: dict[int, float] = {}
        self.lost = 0

    def __len__(self) -> int:
        return len(self._records)

    def take(self) -> list[NetworkRecord]:
        """The records there are, which the caller owns and gives back where it could not store
        them."""
        records, self._records = self._records, []
        return records

    def give_back(self, records: list[NetworkRecord]) -> None:
        """Puts records that could not be stored in front of the later ones, as far as they fit."""
        room = max(0, self._max - len(self._records))
        self.lost += max(0, len(records) - room)
        self._records[:0] = records[:room]

    def note(self, exchange: Exchange, now: float, at_ms: int) -> None:
        """Called where a key was accepted and `head.memo.noted_until` has passed `now`: as a call
        begins, and again while it goes on."""
        grant = exchange.grant
        assert grant is not None
        peer = self.peer(exchange)
        if peer.is_proxy:
            until = self._client_until(exchange, peer, now, at_ms)
        else:
            until = _remembered(peer.until, grant.key, now, KEYS_MAX)
            if until is None:
                self._add(exchange, at_ms, (peer.address, peer.port), peer.tls)
        exchange.head.memo.noted_until = until or now + AGAIN_SECONDS

    def _client_until(
        self, exchange: Exchange, peer: Peer, now: float, at_ms: int
    ) -> float | None:
        """When a client behind a proxy is written down again, whichever connection its proxy
        takes; None: it was just now."""
        grant = exchange.grant
        assert grant is not None
        field = exchange.head.fields.get(b"x-forwarded-for")
        # apart from the address below: a text and its bytes have the same hash
        until = _remembered(self._clients, hash((grant.key, "field", field)), now, CLIENTS_MAX)
        if until is None:
            client: Client = peer.address, None
            if field is not None:
                client = forwarded(field, self._near(peer.proxies))
            # what stands before the client's own entry is its own word, and may change each time
            until = _remembered(self._clients, hash((grant.key, client[0])), now, CLIENTS_MAX)
            if until is None:
                self._add(exchange, at_ms, client, peer.tls)
        return until

    def peer(self, exchange: Exchange) -> Peer:
        """Who is at the other end of an exchange's connection; looked at once for each."""
        connection = exchange.connection
        proxies = exchange.policy.server.trusted_proxies
        peer = connection.peer
        if peer is None or peer.proxies is not proxies:
            peer = connection.peer = self._look(connection, proxies)
        return peer

    def _look(self, connection: ClientConnection, proxies: Sequence[str]) -> Peer:
        transport = connection.transport
        layer = transport.get_extra_info("ssl_object")
        tls = tls_version(None if layer is None else layer.version())
        name: Any = connection.client or transport.get_extra_info("peername")
        if not isinstance(name, tuple):
            return Peer(None, None, tls, True, proxies)
        if not proxies and ":" not in name[0]:
            return Peer(name[0], name[1], tls, False, proxies)
        found = address_of(name[0])
        if found is None:
            return Peer(None, None, tls, False, proxies)
        return Peer(str(found), name[1], tls, self._trusted.has(found, proxies), proxies)

    def _add(self, exchange: Exchange, at_ms: int, client: Client, tls: TlsVersion) -> None:
        if len(self._records) >= self._max:
            self.lost += 1
            return
        grant = exchange.grant
        assert grant is not None
        self._records.append(NetworkRecord(
            at_ms, grant.account, grant.key, *client, tls,
            client_name(exchange.head.fields.get(b"user-agent"))))

    def _near(self, proxies: Sequence[str]) -> Callable[[Ip], bool]:
        return lambda address: self._trusted.has(address, proxies)


def _remembered(until: dict[Key, float], key: Key, now: float, most: int) -> float | None:
    """When `key` is written down again; None where that is now, which is remembered."""
    found = until.get(key, 0.0)
    if found > now:
        return found
    if len(until) >= most:
        until.clear()
    until[key] = now + AGAIN_SECONDS
    return None
