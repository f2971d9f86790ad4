"""Heads of requests to providers, and the pseudonyms that stand for clients there.

Law: built from nothing. What is fixed is built once per (provider, endpoint, credential, stream);
whose turn a credential is is said by the caller (core/health.py).
"""

from __future__ import annotations

from collections.abc import Callable

from relayd.core.provider import Provider
from relayd.ops.config import PrivacyConfig
from relayd.relay.exchange import Exchange
from relayd.wire.handshake import upstream_handshake
from relayd.wire.headers import ClientFields, UpstreamHead, client_fields
from relayd.wire.identity import Pseudonyms, epoch_of, provider_key


class Heads:
    """Builds upstream heads; `secret` gives what an epoch's pseudonyms are derived from."""

    def __init__(
        self, privacy: PrivacyConfig, secret: Callable[[int], bytes], boundary: str
    ) -> None:
        self._privacy = privacy
        self._secret = secret
        self._boundary = boundary
        self._heads: dict[tuple[str, str, bool, int], UpstreamHead] = {}
        self._keys: dict[str, tuple[int, bytes]] = {}

    def client(self, exchange: Exchange) -> ClientFields:
        """What of the client's head may influence the upstream request; worked out once a head."""
        memo = exchange.head.memo
        if memo.heads is not self:
            memo.heads = self
            assert exchange.target.endpoint is not None
            memo.client = client_fields(
                exchange.target.endpoint, exchange.head.fields, exchange.head.query,
                self._privacy.product_betas)
        found: ClientFields = memo.client
        return found

    def head(
        self, exchange: Exchange, provider: Provider, model: str, length: int | None, turn: int,
    ) -> bytes:
        """The whole head of one attempt; `length` None: the body follows in chunks.

        `turn` says which of the provider's credentials is sent.
        """
        endpoint = exchange.target.endpoint
        assert endpoint is not None
        name = (provider.name, endpoint.operation, exchange.stream, turn)
        fixed = self._heads.get(name)
        if fixed is None:
            credential = provider.credentials[turn] if provider.credentials else ""
            fixed = self._heads[name] = UpstreamHead(
                provider, endpoint, credential, exchange.stream, self._boundary)
        memo = exchange.head.memo
        client = memo.client if memo.heads is self else self.client(exchange)
        return fixed.write(model, client, length)

    def handshake(
        self, exchange: Exchange, provider: Provider, model: str, key: bytes, beta: bytes,
        turn: int,
    ) -> bytes:
        """A whole WebSocket handshake; the account's pseudonym is in it where policy wants one."""
        credential = provider.credentials[turn] if provider.credentials else ""
        names = self.pseudonyms(exchange, provider)
        return upstream_handshake(provider, credential, model, key, beta, names.end_user(None))

    def pseudonyms(self, exchange: Exchange, provider: Provider) -> Pseudonyms:
        """What stands for the account and its users at this provider, in the call's epoch."""
        grant = exchange.grant
        assert grant is not None
        epoch = epoch_of(exchange.started_at_ms)
        kept = self._keys.get(provider.name)
        if kept is None or kept[0] != epoch:
            kept = self._keys[provider.name] = (
                epoch, provider_key(self._secret(epoch), provider.name, epoch))
        privacy = self._privacy
        return Pseudonyms(kept[1], grant.account, privacy.end_user, privacy.cache_key)
