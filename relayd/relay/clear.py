"""Keys that came in clear: refused before the body is read, and remembered for the job that flags
them. What comes to the plain port is no exchange; it is looked at all the same.

Law: looked at where a head is new, so that the calls of a connection that repeat it cost nothing;
only a trusted proxy is believed, and only where something before the relay ends TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relayd.core.errors import RelayError
from relayd.core.exposure import Exposure, in_clear
from relayd.core.snapshot import KeyGrant, Snapshot
from relayd.relay.authenticate import authenticate
from relayd.relay.exchange import Exchange
from relayd.relay.network import NetworkLog

KEYS_MAX: Final = 10_000
"""Keys that wait for the job; the next ones are refused all the same, and flagged another time."""


class ClearKeys:
    """Collects exposures until the job takes them: one for each key."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, Exposure] = {}

    def check(self, exchange: Exchange, network: NetworkLog) -> None:
        """Raises tls_required where the request of a known key came in clear."""
        if not in_clear(exchange.head.fields.get(b"x-forwarded-proto")):
            return
        if not network.peer(exchange).is_proxy:
            return
        grant = exchange.grant
        assert grant is not None
        self._remember(grant, exchange.started_at_ms)
        raise RelayError("tls_required", close=True)

    def look(self, fields: Mapping[bytes, bytes], query: str, snapshot: Snapshot, pepper: bytes,
             at_ms: int) -> bool:
        """Whether a head at the plain port shows a key that works, which is remembered."""
        try:
            grant = authenticate(fields, query, snapshot, pepper, at_ms)
        except RelayError:
            return False
        self._remember(grant, at_ms)
        return True

    def _remember(self, grant: KeyGrant, at_ms: int) -> None:
        if grant.key not in self._found and len(self._found) < KEYS_MAX:
            self._found[grant.key] = Exposure(grant.key, grant.account, at_ms)

    def take(self) -> list[Exposure]:
        """The exposures there are, which the caller owns."""
        found, self._found = list(self._found.values()), {}
        return found

    def give_back(self, exposures: list[Exposure]) -> None:
        """Puts those that could not be stored where they were."""
        for each in exposures:
            self._found[each.key] = each
