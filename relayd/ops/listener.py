"""The ops listener: /metrics, /livez, /readyz and /healthz, on an address of their own.

Law: serves these four and nothing else, takes no input, keeps no log of who asked. Where only this
machine can ask, no page in its browser reads the metrics under a name of its own (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, Protocol
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from relayd.ops.configfile_address import is_loopback
from relayd.ops.metrics_text import CONTENT_TYPE
from relayd.ops.site import Site

READY_REASONS: Final = frozenset({"ok", "starting", "draining", "store", "journal", "loop"})
"""What /readyz may say; anything else becomes `not_ready`."""

SHUTDOWN_SECONDS: Final = 2.0
Readiness = Callable[[], tuple[bool, str]]


class Renders(Protocol):
    """What the listener needs of Metrics."""

    def render(self) -> bytes:
        """The text exposition."""


class OpsListener:
    """Takes an address as `[ops] listen` has it; `address` says the port that was given."""

    def __init__(
        self, address: str, metrics: Renders, readiness: Readiness, version: str = "unknown",
    ) -> None:
        self._site = Site(address, SHUTDOWN_SECONDS)
        self._metrics = metrics
        self._readiness = readiness
        self._version = version

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) while started; (path, 0) of a Unix socket."""
        return self._site.address

    async def start(self) -> None:
        """Binds; OSError where that fails."""
        app = web.Application()
        app.add_routes([
            web.get("/metrics", self._metrics_page), web.get("/livez", self._livez),
            web.get("/readyz", self._readyz), web.get("/healthz", self._healthz),
        ])
        app.on_response_prepare.append(_plain_headers)
        try:
            await self._site.open(app)
        except OSError as error:
            raise OSError(error.errno, f"[ops] listen, {error.strerror}") from None

    async def stop(self) -> None:
        """Closes the listener and its connections; may be called twice."""
        await self._site.close()

    def _ready(self) -> tuple[bool, str]:
        ready, reason = self._readiness()
        return ready, reason if reason in READY_REASONS else "ok" if ready else "not_ready"

    async def _metrics_page(self, request: web.Request) -> web.Response:
        if is_loopback(self.address[0]) and not _is_address(request.headers.get("Host", "")):
            return web.Response(text="This machine is asked by its address.\n", status=421)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        ready, reason = self._ready()
        return web.Response(text=f"{reason}\n", status=200 if ready else 503)

    async def _healthz(self, request: web.Request) -> web.Response:
        ready, reason = self._ready()
        body = {"live": True, "ready": ready, "reason": reason, "version": self._version}
        return web.Response(body=orjson.dumps(body) + b"\n", status=200 if ready else 503,
                            content_type="application/json")


def _is_address(authority: str) -> bool:
    """Whether a Host field has an address, localhost, or nothing at all; no name of a zone."""
    try:
        host = urlsplit("//" + authority).hostname or "localhost"
        return is_loopback(host) or bool(ip_address(host))
    except ValueError:
        return False


async def _plain_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers["Server"] = "relayd"
    response.headers["Cache-Control"] = "no-store"
