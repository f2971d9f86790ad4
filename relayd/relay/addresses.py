"""How many connections each client address has: the only use that is made of an address.

Law: addresses are kept while they have a connection and no longer, in this one table; nothing is
read of what a proxy says in a header field.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNCOUNTED: Final = b""
_V6_PREFIX_BYTES: Final = 8
"""One customer has a whole /64 at least."""


class Addresses:
    """The table. `enter` when a connection comes, `leave` when it goes."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._texts: Sequence[str] = ()
        self._trusted: tuple[Network, ...] = ()

    def __len__(self) -> int:
        return len(self._counts)

    def enter(self, address: Any, most: int, trusted: Sequence[str]) -> bytes | None:
        """What to `leave` with; None where the address has `most` connections already.

        `address` is as accept gives it. Not counted are unix sockets, addresses in `trusted`
        networks (proxies, behind which many clients have one address), and all where `most` is 0.
        """
        if not most or not isinstance(address, tuple):
            return UNCOUNTED
        found = ipaddress.ip_address(address[0].partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        if trusted is not self._texts:
            self._texts = trusted
            self._trusted = tuple(ipaddress.ip_network(text) for text in trusted)
        if any(found in network for network in self._trusted):
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
