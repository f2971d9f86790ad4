"""The way to payment partners: drives a conversation over HTTP.

Law: nothing leaves that is not declared for the partner's kind (core/partner.py), and nothing goes
anywhere but to the partner's own hosts: no proxy of the environment, no redirect, no cookie. What
was said is in no log and no exception.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import Final, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from relayd.core.errors import RelayError
from relayd.core.partner import PartnerKind, declared
from relayd.ops.resolver import look_up
from relayd.wire.partner import PartnerReply, PartnerRequest

TIMEOUT_SECONDS: Final = 20.0
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
REQUESTS_MAX: Final = 2000
"""Of one conversation: a day's statement comes in pages."""
HOSTS: Final[dict[PartnerKind, tuple[str, ...]]] = {
    "stripe": (), "alipay": (".alipay.com", ".alipaydev.com"), "wechat": (".weixin.qq.com",)}
"""Hosts beside that of `base_url` from which a partner hands out its bills."""
_SKIPPED: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
T = TypeVar("T")


class _Resolver(AbstractResolver):
    """Names are looked up on threads of their own (ops/resolver.py)."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """The addresses of a host."""
        return [
            ResolveResult(hostname=host, host=address[0], port=address[1], family=found,
                          proto=protocol, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
            for found, _, protocol, _, address in await look_up(host, port)
            if family in (socket.AF_UNSPEC, found)]

    async def close(self) -> None:
        """There is nothing to close."""


class PartnerClient:
    """One partner's address. `run` may be called by many at a time."""

    def __init__(self, kind: PartnerKind, base_url: str, *,
                 reply_bytes_max: int = REPLY_BYTES_MAX) -> None:
        self._kind = kind
        self._base = URL(base_url, encoded=True)
        self._text = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        self._reply_bytes_max = reply_bytes_max

    async def run(
        self, conversation: Generator[PartnerRequest, PartnerReply, T], *, wished: bool = False,
    ) -> T:
        """What the conversation comes to. `wished`: the payer chose what demands more fields
        (core/partner.py). Raises `partner_failed` where the partner cannot be
        reached, `undeclared_field`, and whatever the conversation raises."""
        try:
            request = next(conversation)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=_Resolver()), trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(), timeout=self._timeout,
                skip_auto_headers=_SKIPPED) as session:
            for _ in range(REQUESTS_MAX):
                declared(self._kind, request.fields, wished=wished)
                reply = await self._exchange(session, request)
                try:
                    request = conversation.send(reply)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
        raise RelayError("partner_failed")

    def address(self, target: str) -> URL:
        """Where a request goes, never in the clear where `base_url` is not. Raises
        `partner_failed` for a host that is not the partner's."""
        if not target.startswith(("http://", "https://")):
            return URL(self._text + target, encoded=True)
        given = URL(target, encoded=True)
        host = given.raw_host or ""
        known = host == self._base.raw_host and given.port == self._base.port
        elsewhere = host.endswith(HOSTS[self._kind])
        if elsewhere and given.scheme == "http" and given.explicit_port is None:
            # as Alipay gives its bills' addresses; both schemes lead there
            given = given.with_scheme(self._base.scheme)
        if given.scheme != self._base.scheme or not (known or elsewhere):
            raise RelayError("partner_failed")
        return given

    async def _exchange(
        self, session: aiohttp.ClientSession, request: PartnerRequest
    ) -> PartnerReply:
        address = self.address(request.target)
        try:
            async with session.request(
                    request.method, address, headers=request.headers, data=request.body or None,
                    allow_redirects=False) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return PartnerReply(answer.status, headers, await self._body(answer))
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise RelayError("partner_failed") from None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        pieces, size = [], 0
        async for piece in answer.content.iter_any():
            size += len(piece)
            if size > self._reply_bytes_max:
                raise RelayError("partner_failed")
            pieces.append(piece)
        return b"".join(pieces)
