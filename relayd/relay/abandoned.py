"""Calls whose client has left and whose reply is read on: `on_client_close = "drain"`.

The provider bills what it generates, and says how much with its last event; reading on costs its
time and tells the figure. Law: nothing is written for such a call, it is bounded in time and in
number, and it settles once, as every call does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relayd.relay.exchange import ClientLeft, Exchange

if TYPE_CHECKING:
    from relayd.relay.plane import Plane


class Abandoned:
    """The calls that are read on, and until when; times are monotonic seconds."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._due: dict[Exchange, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def take(self, exchange: Exchange) -> bool:
        """Whether the reply of a call whose client has just left is read on."""
        plane, server = self._plane, exchange.policy.server
        attempt = exchange.attempt
        if attempt is None or not exchange.asked or not exchange.body_complete or plane.draining:
            return False
        provider = exchange.policy.providers[exchange.provider or ""]
        if provider.on_client_close != "drain" or len(self) >= server.client_drains_max:
            return False
        exchange.abandon()
        self._due[exchange] = plane.now() + server.client_drain_seconds
        exchange.connection.write_paused = False
        attempt.resume()
        return True

    def sweep(self, now: float) -> None:
        """Ends those that have had their time."""
        for exchange in [exchange for exchange, due in self._due.items() if due <= now]:
            exchange.interrupt(ClientLeft())

    def cut(self) -> None:
        """Ends all: the relay stops, and nobody waits for them."""
        for exchange in list(self._due):
            exchange.interrupt(ClientLeft())

    def end(self, exchange: Exchange) -> None:
        """A call is settled, whether it was read on or not."""
        exchange.end_abandoned()
        self._due.pop(exchange, None)
