"""A client on a raw socket: sends bytes as they are, at a pace, and reads replies strictly."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType

from tests.fakes.rawhttp import STREAM_BYTES_MAX, Reply, read_reply
from tests.fakes.rawupstream import paced


def request_bytes(
    target: str, key: str, body: bytes = b"", *, method: str = "POST",
    fields: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A plain request with a bearer key, and a JSON body where there is one."""
    head = f"{method} {target} HTTP/1.1\r\nHost: relay.test\r\nAuthorization: Bearer {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields)
    return head.encode("latin-1") + b"\r\n" + body


class RawClient:
    """One connection: `async with RawClient(address) as client`."""

    def __init__(
        self, address: tuple[str, int], *, tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        self._address = address
        self._tls = tls
        self._server_name = server_name
        self.reader: asyncio.StreamReader = None  # type: ignore[assignment]
        self.writer: asyncio.StreamWriter = None  # type: ignore[assignment]

    async def __aenter__(self) -> RawClient:
        self.reader, self.writer = await asyncio.open_connection(
            *self._address, limit=STREAM_BYTES_MAX, ssl=self._tls,
            server_hostname=self._server_name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection."""
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Leaves at once, without a farewell."""
        self.writer.transport.abort()

    async def send(self, raw: bytes, pace: str = "once") -> None:
        """Sends `raw`: `once`, `bytes` (an octet a write), or `segments-N`."""
        await paced(self.writer, raw, pace)

    async def reply(
        self, method: bytes = b"POST", *, first_seconds: float = 15.0, hold_seconds: float = 15.0
    ) -> Reply | None:
        """The next reply, 1xx included; None where the relay closed. See `rawhttp.read_reply`."""
        try:
            return await read_reply(self.reader, method, first_seconds=first_seconds,
                                    hold_seconds=hold_seconds)
        except ConnectionError:
            return None

    async def final_reply(self, method: bytes = b"POST", *, first_seconds: float = 15.0) -> Reply:
        """The next reply that is not 1xx; there must be one."""
        while True:
            reply = await self.reply(method, first_seconds=first_seconds)
            assert reply is not None, "closed without an answer"
            if reply.status >= 200:
                return reply

    async def ask(self, raw: bytes, *, first_seconds: float = 15.0) -> Reply:
        """Sends one request and reads its reply."""
        await self.send(raw)
        return await self.final_reply(raw.partition(b" ")[0], first_seconds=first_seconds)


async def ask(address: tuple[str, int], raw: bytes, *, first_seconds: float = 15.0) -> Reply:
    """One request on a connection of its own."""
    async with RawClient(address) as client:
        return await client.ask(raw, first_seconds=first_seconds)
