"""Connections to providers, over real sockets: replies of every shape, and every way to break."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.provider import Address, Provider
from relayd.ops.tasks import Tasks
from relayd.relay.pool import USES_MAX, Pool
from relayd.relay.turn import Turn
from relayd.relay.upstream import STALE_SECONDS, Attempt, UpstreamConnection
from relayd.wire.chunked import is_chunk
from tests.fakes.splits import cut

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class World:
    """A provider that answers by script, and a pool that connects to it."""

    def __init__(self) -> None:
        self.answers: list[list[bytes | str]] = []
        self.connections = 0
        self.tasks = Tasks(lambda name, error: None)
        self.changed = asyncio.Event()

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.provider = Provider("p", "openai", Address("http", "127.0.0.1", port, ""), ("c",))
        self.pool = Pool(self.provider, self.tasks, lambda: 0.5, Turn((), print))

    async def stop(self) -> None:
        self.pool.close()
        await self.tasks.close()
        self.server.close()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for step in self.answers.pop(0):
                    if step == "close":
                        return
                    if step == "hold":
                        await reader.read()
                        return
                    if step == "reset":
                        writer.get_extra_info("socket").setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        writer.transport.abort()
                        return
                    assert isinstance(step, bytes)
                    writer.write(step)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def connect(self) -> UpstreamConnection:
        taken = self.pool.take()
        if taken is not None:
            return taken
        opening = self.pool.open(self.changed.set)
        async with asyncio.timeout(3):
            while opening.connection is None and opening.error is None:
                self.changed.clear()
                await self.changed.wait()
        if opening.error is not None:
            raise opening.error
        assert opening.connection is not None
        return opening.connection

    async def call(self, *answer: bytes | str) -> tuple[Attempt, bytes]:
        """Sends one request; the attempt when it has ended, and the body that came."""
        self.answers.append(list(answer))
        connection = await self.connect()
        attempt = Attempt(self.changed.set)
        body: list[bytes] = []
        connection.begin(attempt, REQUEST)

        def sink(data: bytes, complete: bool) -> None:
            body.append(data)
            self.changed.set()

        async with asyncio.timeout(3):
            while attempt.error is None and not attempt.complete:
                if attempt.head is not None and attempt.sink is None:
                    attempt.attach(sink)
                    continue
                await self.changed.wait()
                self.changed.clear()
        if attempt.sink is None and attempt.head is not None:
            attempt.attach(sink)
        return attempt, b"".join(body)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.start()
    yield made
    await made.stop()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("answer", "body", "kept"), [
    ([OK], b"ok", 1),
    ([CHUNKED, b"2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"], b"abc", 1),
    ([bytes([octet]) for octet in OK], b"ok", 1),
    ([CHUNKED + b"2;x=y\r\nab\r\n0\r\nX-Trailer: t\r\n\r\n"], b"ab", 1),
    ([CHUNKED + b"2 ;x=y\r\nab\r\n1 \t\r\nc\r\n0 \r\n\r\n"], b"abc", 1),
    ([CHUNKED + b"2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n"], b"ab", 1),
    ([CHUNKED + b"2\r\nab\r\n0\r\nTransfer-Encoding: x\r\n\r\n"], b"ab", 0),
    ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK], b"ok", 1),
    ([b"HTTP/1.1 100 X\r\nConnection: close\r\n\r\n", OK], b"ok", 1),
    ([b"HTTP/1.0 100 X\r\n\r\n" + OK], b"ok", 1),
    ([b"HTTP/1.1 104 X\r\nContent-Length: %d\r\n\r\n" % len(OK) + OK], b"ok", 1),
    ([b"HTTP/1.1 199 X\r\nContent-Length: 5\r\n\r", b"\n", OK[:5], OK[5:]], b"ok", 1),
    ([b"HTTP/1.1 103 X\r\n\r\n", CHUNKED.replace(b"ed\r", b"ed \t\r"), b"2\r\nok\r\n0\r\n\r\n"],
     b"ok", 1),
    ([CHUNKED.replace(b": chunked", b":chunked\t") + b"2\r\nok\r\n0\r\n\r\n"], b"ok", 1),
    ([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", 1),
    ([b"HTTP/1.1 200 OK\r\n\r\nuntil", b" the end", "close"], b"until the end", 0),
    ([b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", b"evil"], b"", 0),
    ([b"HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n"], b"", 0),
    ([CHUNKED, b"0\r\n\r\n"], b"", 1),
    ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok", 0),
    ([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"], b"ok", 0),
    ([OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"], b"ok", 0),
    ([OK + b"garbage"], b"ok", 0),
])
async def test_replies(world: World, answer: list[bytes | str], body: bytes, kept: int) -> None:
    attempt, got = await world.call(*answer)
    assert attempt.error is None and got == body
    assert (world.pool.idle, world.pool.busy) == (kept, 0)


@pytest.mark.parametrize(("answer", "code"), [
    (["reset"], "upstream_reset"),
    (["close"], "upstream_reset"),
    ([b"HTTP/1.1 200 O", "close"], "upstream_reset"),
    ([OK[:-1], "close"], "upstream_truncated"),
    ([CHUNKED + b"5\r\nab", "close"], "upstream_truncated"),
    ([CHUNKED + b"2\r\nab\r\n", "reset"], "upstream_truncated"),
    ([CHUNKED + b"-2\r\nab\r\n"], "upstream_truncated"),
    ([CHUNKED + b"2 2\r\nab\r\n"], "upstream_truncated"),
    ([CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") + b"0\r\n\r\n"],
     "upstream_protocol"),
    ([b"HTTP/1.1 200 OK\r\n\r\nabc", "reset"], "upstream_truncated"),
    ([b"SSH-2.0\r\n"], "upstream_protocol"),
    ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + OK], "upstream_protocol"),
    ([b"HTTP/1.1 104 X\r\n\r\nHTTP/1.1 104 X\r\n\r\nSSH-2.0\r\n"], "upstream_protocol"),
    ([CHUNKED.replace(b": c", b": x, c").replace(b"ed\r", b"ed\t\r")], "upstream_protocol"),
    ([b"HTTP/2.0 200 OK\r\n\r\n"], "upstream_protocol"),
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"], "upstream_protocol"),
    ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"], "upstream_protocol"),
    ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"], "upstream_protocol"),
    ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "hold"], "upstream_protocol"),
])
async def test_breaks(world: World, answer: list[bytes | str], code: str) -> None:
    attempt, _ = await world.call(*answer)
    assert attempt.error is not None and attempt.error.code == code
    assert (world.pool.idle, world.pool.busy) == (0, 0)


async def test_a_connection_is_reused_and_ends_after_its_uses(world: World) -> None:
    for number in range(USES_MAX + 1):
        attempt, _ = await world.call(OK)
        assert attempt.reused is (number % USES_MAX != 0)
    assert world.connections == 2


async def test_a_closed_idle_connection_is_reused_no_more(world: World) -> None:
    await world.call(OK, "close")
    await asyncio.sleep(0.05)
    assert world.pool.idle == 0


async def test_octets_nobody_asked_for_end_an_idle_connection(world: World) -> None:
    await world.call(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "hold")
    await asyncio.sleep(0.05)
    assert world.pool.idle == 0


async def test_close_ends_the_connection(world: World) -> None:
    world.answers.append([CHUNKED + b"2\r\nab\r\n", "hold"])
    connection = await world.connect()
    attempt = Attempt(lambda: None)
    connection.begin(attempt, REQUEST)
    await asyncio.sleep(0.05)
    attempt.close()
    assert (world.pool.idle, world.pool.busy) == (0, 0)


async def test_pause_stops_reading_until_resume(world: World) -> None:
    world.answers.append([CHUNKED, *[b"1\r\na\r\n"] * 5, b"0\r\n\r\n"])
    connection = await world.connect()
    got: list[bytes] = []
    attempt = Attempt(lambda: None)
    connection.begin(attempt, REQUEST)
    attempt.attach(lambda data, complete: got.append(data))
    attempt.pause()
    await asyncio.sleep(0.1)
    assert got == []
    attempt.resume()
    await asyncio.sleep(0.1)
    assert b"".join(got) == b"aaaaa" and attempt.complete


async def test_the_provider_s_limit_of_connections(world: World) -> None:
    small = Provider("p", "openai", world.provider.address, ("c",), connections_max=1)
    pool = world.pool = Pool(small, world.tasks, lambda: 0.0, Turn((), print))
    await world.connect()
    with pytest.raises(RelayError) as caught:
        pool.open(lambda: None)
    assert caught.value.code == "upstream_busy"


class Quiet(asyncio.Transport):
    """A transport on which nothing is sent: what is received is said by the test."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data == REQUEST

    def abort(self) -> None:
        pass


def received(reads: list[bytes], passes: bool) -> tuple[tuple[object, ...], int]:
    """What an attempt has of these reads, where whole chunks may pass or not; how many passed."""
    provider = Provider("p", "openai", Address("http", "127.0.0.1", 9, ""), ("c",))
    pool = Pool(provider, Tasks(lambda name, error: None), lambda: 0.5, Turn((), print))
    connection = UpstreamConnection(pool)
    connection.connection_made(Quiet())
    attempt = Attempt(lambda: None)
    body: list[bytes] = []
    passed: list[bytes] = []

    def passage(chunk: bytes) -> None:
        assert is_chunk(chunk)
        passed.append(chunk)
        body.append(chunk[chunk.find(b"\n") + 1:-2])

    connection.begin(attempt, REQUEST)
    connection.data_received(CHUNKED)
    attempt.attach(lambda data, complete: body.append(data))
    attempt.passage = passage if passes else None
    for read in reads:
        if attempt.connection is not None:
            connection.data_received(read)
    code = None if attempt.error is None else attempt.error.code
    return (b"".join(body), len([x for x in body if x]), attempt.octets, attempt.chunks,
            attempt.complete, code, pool.idle), len(passed)


STYLES = st.sampled_from([b"%x\r\n%b\r\n"] * 12 + [
    b"%X\r\n%b\r\n", b"0%x\r\n%b\r\n", b"%x;a=b\r\n%b\r\n", b"%x\r\n%b\r\n1\r\na\r\n",
    b"%x\n%b\r\n", b"-%x\r\n%b\r\n", b"%x \r\n%b\r\n", b"%x\r\n%b\n", b"%x\r\n%bx\r\n"])
BODIES = st.one_of(
    st.binary(min_size=1, max_size=40), st.sampled_from([
        b"\r\n0\r\n\r\n", b"1\r\na\r\n", b"\n", b"\r\n", b"data: x\n\n", b"y" * 300]))
ENDS = st.sampled_from([b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"", b"0\r\n\r\n1\r\na\r\n"])


@given(st.lists(st.builds(lambda style, data: style % (len(data), data), STYLES, BODIES),
                max_size=8), ENDS, st.lists(st.integers(0, 500), max_size=3), st.data())
def test_a_chunk_that_passes_whole_changes_nothing(
    chunks: list[bytes], end: bytes, where: list[int], data: st.DataObject
) -> None:
    reads = [*chunks, end]
    places = st.lists(st.integers(0, 8), max_size=3)
    for at in data.draw(places):
        reads[at:at + 2] = [b"".join(reads[at:at + 2])]
    for at in data.draw(places):
        reads[at:at + 1] = cut(b"".join(reads[at:at + 1]), where)
    reads = [read for read in reads if read]
    assert received(reads, True)[0] == received(reads, False)[0]


def test_a_whole_chunk_passes_unread_where_one_is_due() -> None:
    one = b"4\r\nabcd\r\n"
    trap = b"%x\r\n%b" % (len(one), one)  # a chunk that is there is data of another one
    for reads, passed in [([one, one], 1), ([one[:3], one[3:], one], 1), ([trap, one], 0),
                          ([trap[:-10], one], 0), ([one, b"%x\r\n" % len(one), one], 0)]:
        assert received(reads, True) == (received(reads, False)[0], passed)


SPACE = st.sampled_from([b"", b" ", b"\t", b" \t", b"\x0b", b"\xa0"])
CODINGS = st.sampled_from([b"chunked"] * 6 + [
    b"Chunked", b"", b"identity", b"gzip, chunked", b"chunked, gzip", b", chunked", b"chunked;a"])
LENGTHS = st.sampled_from([b"10"] * 6 + [b"", b"+10", b"010", b"10, 10", b"10;", b"0xa"])
LINES = st.one_of(
    st.builds(lambda a, b, c: b"Transfer-Encoding:%b%b%b" % (a, b, c), SPACE, CODINGS, SPACE),
    st.builds(lambda a, b, c: b"Content-Length:%b%b%b" % (a, b, c), SPACE, LENGTHS, SPACE),
    st.sampled_from([b"X: y", b"Connection: close", b"X: y\r\n Transfer-Encoding: chunked"]))


@given(st.lists(LINES, max_size=3))
def test_what_a_head_is_taken_for_is_how_its_body_is_read(lines: list[bytes]) -> None:
    provider = Provider("p", "openai", Address("http", "127.0.0.1", 9, ""), ("c",))
    pool = Pool(provider, Tasks(lambda name, error: None), lambda: 0.5, Turn((), print))
    connection = UpstreamConnection(pool)
    connection.connection_made(Quiet())
    attempt = Attempt(lambda: None)
    connection.begin(attempt, REQUEST)
    sent = b"5\r\nabcde\r\n0\r\n\r\n"
    connection.data_received(b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", sent]))
    if attempt.connection is not None:
        connection.eof_received()
    head, body = attempt.head, attempt.take()
    if head is None or attempt.error is not None:
        assert not pool.idle
    elif head.length is not None:
        assert (len(body), pool.idle) == (head.length, 0)
    else:
        assert body == (b"abcde" if head.delimited else sent)


@pytest.mark.parametrize(("kept", "seconds", "stale"), [
    (True, 1.0, True), (True, STALE_SECONDS, False), (False, 1.0, False)])
async def test_a_connection_is_stale_only_as_it_is_used(
    world: World, kept: bool, seconds: float, stale: bool
) -> None:
    world.answers = [["close"]]
    connection = await world.connect()
    if kept:  # nobody waited for it any more: it went to the pool unused
        world.pool.give_back(connection)
        assert world.pool.take() is connection
    attempt = Attempt(world.changed.set)
    connection.begin(attempt, REQUEST)
    async with asyncio.timeout(3):
        while attempt.error is None:
            await asyncio.sleep(0.01)
    assert attempt.error.code == "upstream_reset"
    assert attempt.stale(seconds) is stale
