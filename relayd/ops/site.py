"""A site: an aiohttp application on one address, opened and closed.

Law: no access log; what is asked of it leaves no line.
"""

from __future__ import annotations

import os

from aiohttp import web

from relayd.ops.configfile_address import parse_listen


class Site:
    """Takes an address as the configuration has it; `address` says the port that was given."""

    def __init__(self, listen: str, shutdown_seconds: float) -> None:
        self._text = listen
        self._listen = parse_listen(listen)
        self._shutdown_seconds = shutdown_seconds
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) while open; (path, 0) of a Unix socket."""
        assert self._runner is not None
        bound = self._runner.addresses[0]
        return (bound, 0) if isinstance(bound, str) else (bound[0], bound[1])

    async def open(self, app: web.Application, *, handler_cancellation: bool = False) -> None:
        """Binds; OSError, with the address, where that fails."""
        runner = self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=self._shutdown_seconds,
            handler_cancellation=handler_cancellation)
        await runner.setup()
        try:
            await self._bound(runner).start()
        except OSError as error:
            await self.close()
            # whom the loop tells of it has the address in its own words, and a path in none
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror
            raise OSError(error.errno, f"{self._text}: {reason}") from None

    def _bound(self, runner: web.AppRunner) -> web.BaseSite:
        if self._listen.kind == "unix":
            return web.UnixSite(runner, self._listen.path)
        return web.TCPSite(runner, self._listen.host, self._listen.port)

    async def close(self) -> None:
        """Closes the address and its connections; may be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
