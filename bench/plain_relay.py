"""The yardstick of what aiohttp costs: a relay as it is usually written. A process of its own.

    python -m bench.plain_relay PORT UPSTREAM_URL [CA_FILE]

Reads the request, passes its headers but for hop-by-hop ones and the key, streams the answer. No
accounts, no limits, no counting, no records: all that relayd does on top is not in its figures.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiohttp
import uvloop
from aiohttp import web

from bench.process import raise_file_limit

NOT_PASSED = {
    "host", "connection", "keep-alive", "transfer-encoding", "content-length", "authorization",
    "accept-encoding",
}
SESSION = web.AppKey("session", aiohttp.ClientSession)
UPSTREAM = web.AppKey("upstream", str)


async def relay(request: web.Request) -> web.StreamResponse:
    """Any method, any path."""
    body = await request.read()
    headers = {k: v for k, v in request.headers.items() if k.lower() not in NOT_PASSED}
    headers["Authorization"] = "Bearer upstream-credential"
    url = request.app[UPSTREAM] + request.path_qs
    async with request.app[SESSION].request(
            request.method, url, data=body, headers=headers) as answer:
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in NOT_PASSED}
        reply = web.StreamResponse(status=answer.status, headers=kept)
        await reply.prepare(request)
        async for piece in answer.content.iter_any():
            await reply.write(piece)
        await reply.write_eof()
        return reply


async def serve(port: int, upstream: str, ca_file: str | None) -> None:
    """Serves until the process is ended."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app[UPSTREAM] = upstream
    trust = ssl.create_default_context(cafile=ca_file) if ca_file else True
    connector = aiohttp.TCPConnector(limit=0, ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as session:
        app[SESSION] = session
        app.router.add_route("*", "/{path:.*}", relay)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3] if sys.argv[3:] else None))
