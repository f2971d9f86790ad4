"""Every way in which a provider can fail before the first byte of a reply, as scripted answers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

from relayd.core.provider import Api, Provider, Timeouts
from relayd.core.route import Deployment, Route
from tests.fakes.daemon import plain_answer, provider
from tests.fakes.rawupstream import Answer, Answerer, RawUpstream, message

SHORT = Timeouts(connect=0.5, first_byte=0.4, idle=0.5)
EVENT_HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n")


def error(status: int, word: str = "", **fields: str) -> Answer:
    """An error in the usual shape; `fields` are of the head, with _ for -."""
    body = b'{"error":{"message":"no","type":"%b","code":"%b"}}' % (
        word.encode() or b"server_error", word.encode())
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return Answer(message(body, status=status, fields=named))


FAULTS: Mapping[str, Answer] = {
    "closed": Answer(b"", after="close"),
    "reset": Answer(b"", after="reset"),
    "half a head": Answer(b"HTTP/1.1 200 OK\r\nContent-", after="close"),
    "head alone": Answer(message(b"{}" * 50)[:-100], after="close"),
    "garbage": Answer(b"\x00\xff\x16\x03 what\r\n\r\n", after="close"),
    "two lengths": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "silence": Answer(b"", after="hold"),
    "redirect": Answer(message(b"", status=307, fields=(("Location", "http://x/"),))),
    "408": error(408), "409": error(409), "429": error(429, "rate_limit_exceeded"),
    "429 asks to wait": error(429, "rate_limit_exceeded", retry_after="30"),
    "no credit": error(429, "insufficient_quota"), "402": error(402),
    "401": error(401, "invalid_api_key"), "403": error(403), "404": error(404, "model_not_found"),
    "498": error(498), "500": error(500), "502": error(502), "503": error(503), "504": error(504),
    "520": error(520), "529": error(529, "overloaded_error"),
    "html": Answer(message(b"<html>bad gateway</html>", "text/html", status=502)),
    "half an error": Answer(message(b"x" * 100, status=500)[:-50], after="close"),
}
"""After each of these a healthy deployment serves the call."""

REJECTED: Mapping[str, Answer] = {
    "400": error(400, "invalid_request_error"), "413": error(413), "415": error(415),
    "422": error(422, "extra_forbidden"), "too long": error(400, "context_length_exceeded"),
    "policy": error(400, "content_filter"),
}
"""What the request is at fault for: no other deployment is asked."""


@contextmanager
def black_hole(port: int = 0) -> Iterator[int]:
    """A port at which connections neither open nor fail, because its queue is full; 0: any."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", port))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for filler in fillers:
                filler.close()


@asynccontextmanager
async def upstreams(*answerers: Answerer) -> AsyncIterator[list[RawUpstream]]:
    """So many upstreams; each answers well where it has no script."""
    made = [RawUpstream(answerer) for answerer in answerers or (plain_answer, plain_answer)]
    for upstream in made:
        await upstream.start()
    try:
        yield made
    finally:
        for upstream in made:
            await upstream.stop()


def providers(
    made: Sequence[RawUpstream], api: Api = "openai", **changes: object
) -> dict[str, Provider]:
    """A provider for each upstream: p0, p1 and so on, with short timeouts."""
    return {f"p{n}": provider(api, upstream.port, name=f"p{n}",
                              **{"timeouts": SHORT, **changes})
            for n, upstream in enumerate(made)}


def route(count: int = 2, model: str = "test-model", **options: object) -> Route:
    """A route over p0, p1 and so on: tried in that order."""
    return Route(model, tuple(Deployment(f"p{n}", priority=n + 1) for n in range(count)),
                 **options)  # type: ignore[arg-type]
