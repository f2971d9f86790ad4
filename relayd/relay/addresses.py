"""How many connections each client address has, and which addresses are the operator's proxies.

Law: addresses are kept while they have a connection and no longer, in this one table; a limit by
address never goes by what a proxy says in a header field. (What is kept of addresses for longer,
sealed, is relay/network.py's.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from relayd.core.network import Ip, Network, address_of, network_of

UNCOUNTED: Final = b""
_V6_PREFIX_BYTES: Final = 8
"""One customer has a whole /64 at least."""


class Trusted:
    """The networks of proxies before the relay, worked out again when the setting is another."""

    __slots__ = ("_texts", "_networks")

    def __init__(self) -> None:
        self._texts: Sequence[str] = ()
        self._networks: tuple[Network, ...] = ()

    def has(self, address: Ip, texts: Sequence[str]) -> bool:
        """Whether an address is in one of the networks that the setting names."""
        if texts is not self._texts:
            self._texts = texts
            self._networks = tuple(network_of(text) for text in texts)
        return any(address in network for network in self._networks)


class Addresses:
    """The table. `enter` when a connection comes, `leave` when it goes."""

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        """Connections that were closed at once, by why."""
        self._counts: dict[bytes, int] = {}
        self._trusted = Trusted()

    def __len__(self) -> int:
        return len(self._counts)

    def trusts(self, address: Any, trusted: Sequence[str]) -> bool:
        """Whether an address, as accept gives it, is a proxy's: in a trusted network, or none (a
        unix socket, which is open to whom the operator lets at it)."""
        if not isinstance(address, tuple):
            return True
        found = address_of(address[0])
        return found is not None and self._trusted.has(found, trusted)

    def enter(self, address: Any, most: int, trusted: Sequence[str]) -> bytes | None:
        """What to `leave` with; None where the address has `most` connections already.

        `address` is as accept gives it. Not counted are unix sockets, addresses in `trusted`
        networks (proxies, behind which many clients have one address), and all where `most` is 0.
        """
        if not most or not isinstance(address, tuple):
            return UNCOUNTED
        found = address_of(address[0])
        if found is None or self._trusted.has(found, trusted):
            return UNCOUNTED
        origin = found.packed[:_V6_PREFIX_BYTES]
        count = self._counts.get(origin, 0)
        if count >= most:
            return None
        self._counts[origin] = count + 1
        return origin

    def leave(self, origin: bytes) -> None:
        """A connection has ended."""
        count = self._counts.get(origin, 0)
        if count > 1:
            self._counts[origin] = count - 1
        else:
            self._counts.pop(origin, None)
