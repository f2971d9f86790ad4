"""Which calls belong together, so that a provider's prompt cache is hit: a keyed hash.

Law: the hash is of the account and of content, under a key that lives as long as the process; it
is used to choose a deployment and goes nowhere else.
"""

from __future__ import annotations

from hashlib import blake2b
from secrets import token_bytes

from relayd.relay.exchange import Exchange
from relayd.wire.conversation import beginning


class Sticky:
    """Names conversations."""

    def __init__(self) -> None:
        self._secret = token_bytes(32)

    def key(self, exchange: Exchange) -> bytes | None:
        """The name of an exchange's conversation; None where it has none."""
        ask, grant = exchange.ask, exchange.grant
        if ask is None or grant is None:
            return None
        given = [value for _, kind, value in ask.stand_ins if kind == "cache_key" and value]
        if given:
            kind, text = b"key", str(given[0]).encode("utf-8", "surrogatepass")
        else:
            kind, text = b"head", beginning(ask.fields)
        if not text:
            return None
        digest = blake2b(text, digest_size=16, key=self._secret, person=kind)
        digest.update(b"\0" + grant.account.encode())
        return digest.digest()
