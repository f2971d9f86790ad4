"""Connections by name: which address is tried when, and what is kept of names (nothing)."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.ops.tasks import Tasks
from relayd.relay import dialing
from relayd.relay.dialing import HEAD_START_SECONDS, Dialer, Info, interleaved, literal

V4, V6 = socket.AF_INET, socket.AF_INET6
Pair = tuple[str, int]


def info(address: Pair) -> Info:
    family = V6 if ":" in address[0] else V4
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address


class Resolver:
    """Stands in for the machine's: says what the test wants, and counts who asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Sequence[Pair] | OSError = ()
        self.asked = 0
        self.gate: asyncio.Event | None = None
        monkeypatch.setattr(dialing, "look_up", self.look_up)

    async def look_up(self, host: str, port: int) -> list[Info]:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, OSError):
            raise self.answer
        return [info(address) for address in self.answer]


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


def dialer(
    host: str = "name.test", port: int = 1, proven: bool = False,
    stale: Callable[[], None] | None = None,
) -> Dialer:
    tasks = Tasks(lambda name, error: pytest.fail(f"{name}: {error!r}"))
    return Dialer(host, port, tasks, proven, stale)


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[Pair]:
    with socket.create_server((host, 0)) as server:
        yield server.getsockname()[:2]


@contextmanager
def silent() -> Iterator[Pair]:
    """An address where connections neither succeed nor fail: its backlog is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(4)]
        try:
            for other in others:
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            yield full.getsockname()
        finally:
            for other in others:
                other.close()


def refusing() -> Pair:
    with listening() as address:
        return address


async def reached(one: Dialer) -> tuple[Pair, float]:
    """Where it got to, and after how long."""
    began = time.monotonic()
    async with asyncio.timeout(3):
        sock = await one.dial()
    with sock:
        assert not sock.getblocking()
        return sock.getpeername()[:2], time.monotonic() - began


async def test_an_address_needs_no_resolver(resolver: Resolver) -> None:
    with listening() as address:
        assert (await reached(dialer(*address)))[0] == address
    assert resolver.asked == 0


async def test_a_silent_address_has_a_quarter_of_a_second(resolver: Resolver) -> None:
    with silent() as dead, listening() as alive:
        resolver.answer = [dead, alive]
        address, seconds = await reached(dialer())
    assert address == alive
    assert HEAD_START_SECONDS * 0.9 < seconds < HEAD_START_SECONDS + 0.2


async def test_an_address_that_was_overtaken_goes_last_for_a_minute(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dialer()
    with silent() as dead, listening() as alive:
        resolver.answer = [dead, alive]
        assert (await reached(one))[1] > HEAD_START_SECONDS * 0.9
        address, seconds = await reached(one)
        assert address == alive and seconds < HEAD_START_SECONDS / 2
        monkeypatch.setattr(dialing, "monotonic", lambda: time.monotonic() + 61)
        assert (await reached(one))[1] > HEAD_START_SECONDS * 0.9


async def test_an_address_that_went_last_and_works_again_is_taken_where_no_other_does(
    resolver: Resolver
) -> None:
    one = dialer()
    with listening() as alive:
        resolver.answer = [refusing(), alive]
        assert (await reached(one))[0] == alive
    with listening() as other:
        resolver.answer = [other, alive]
        for _ in range(2):
            assert (await reached(one))[0] == other


async def test_an_address_that_refuses_costs_no_time(resolver: Resolver) -> None:
    with listening() as alive:
        resolver.answer = [refusing(), refusing(), alive]
        address, seconds = await reached(dialer())
    assert address == alive and seconds < HEAD_START_SECONDS


async def test_a_family_that_does_not_work_here_costs_no_time(resolver: Resolver) -> None:
    with silent() as dead, listening() as alive:
        resolver.answer = [("::1", alive[1] - 1 or 1), dead, alive]
        address, seconds = await reached(dialer())
    assert address == alive and seconds < 2 * HEAD_START_SECONDS


async def test_all_refuse(resolver: Resolver) -> None:
    resolver.answer = [refusing(), refusing()]
    with pytest.raises(ConnectionRefusedError):
        await dialer().dial()


@pytest.mark.parametrize("answer", [
    socket.gaierror(socket.EAI_NONAME, "x"), socket.gaierror(socket.EAI_AGAIN, "x"), ()])
async def test_a_name_without_an_address(
    resolver: Resolver, answer: Sequence[Pair] | OSError
) -> None:
    resolver.answer = answer
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await dialer().dial()
    assert resolver.asked == 2


async def test_a_new_address_is_used_at_once(resolver: Resolver) -> None:
    one = dialer()
    with listening() as first, listening() as second:
        for address in (first, second, first):
            resolver.answer = [address]
            assert (await reached(one))[0] == address
    assert resolver.asked == 3


@pytest.mark.parametrize("proven", [True, False])
async def test_a_resolver_that_fails_is_done_without_where_tls_proves_the_host(
    resolver: Resolver, proven: bool
) -> None:
    told: list[None] = []
    one = dialer(proven=proven, stale=lambda: told.append(None))
    with listening() as address:
        resolver.answer = [address]
        await reached(one)
        resolver.answer = socket.gaierror(socket.EAI_AGAIN, "servers fail")
        if proven:
            assert (await reached(one))[0] == address and len(told) == 1
            resolver.answer = [refusing()]
        with pytest.raises(OSError):
            await one.dial()
    assert len(told) == proven


async def test_a_resolver_that_says_that_there_is_no_such_name_is_believed(
    resolver: Resolver
) -> None:
    one = dialer(proven=True)
    with listening() as address:
        resolver.answer = [address]
        await reached(one)
        resolver.answer = socket.gaierror(socket.EAI_NONAME, "unknown")
        with pytest.raises(socket.gaierror):
            await one.dial()


async def test_a_resolver_that_says_nothing_is_waited_for_once(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "PATIENCE_SECONDS", 0.3)
    one = dialer(proven=True)
    with listening() as address:
        resolver.answer = [address]
        await reached(one)
        resolver.gate = asyncio.Event()
        assert (await reached(one))[1] > 0.28
        assert (await reached(one))[1] < 0.15
        monkeypatch.setattr(dialing, "monotonic", lambda: time.monotonic() + 86_401)
        waiting = asyncio.ensure_future(one.dial())
        await asyncio.sleep(0.4)
        assert not waiting.done()  # a day is over
        resolver.gate.set()
        (await waiting).close()
    assert resolver.asked == 2


@pytest.mark.parametrize(("datagram", "number"), [
    (errno.EADDRNOTAVAIL, errno.ENETUNREACH), (0, errno.EADDRNOTAVAIL)])
async def test_a_family_that_this_machine_lacks_is_not_a_machine_without_ports(
    monkeypatch: pytest.MonkeyPatch, datagram: int, number: int
) -> None:
    async def none_left(sock: socket.socket, address: Pair) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "x")

    class Probe(socket.socket):
        def connect(self, address: object) -> None:
            if datagram:
                raise OSError(datagram, "x")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", none_left)
    monkeypatch.setattr(socket, "socket", Probe)
    with pytest.raises(OSError) as told:
        await dialer("192.0.2.1").dial()
    assert told.value.errno == number


async def test_a_connection_is_kept_alive() -> None:
    with listening() as address:
        with await dialer(*address).dial() as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


async def test_those_who_wait_share_a_look_up_and_leave_it_alone(resolver: Resolver) -> None:
    one = dialer()
    resolver.gate = asyncio.Event()
    with listening() as address:
        resolver.answer = [address]
        waiting = [asyncio.ensure_future(one.dial()) for _ in range(100)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        await asyncio.sleep(0)
        resolver.gate.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert {sock.getpeername() for sock in found[1:]} == {address}  # type: ignore
        for sock in found[1:]:
            sock.close()  # type: ignore[union-attr]
    assert resolver.asked == 1


async def test_giving_up_leaves_nothing_open(resolver: Resolver) -> None:
    # an unclosed socket would fail this test by its ResourceWarning
    with silent() as dead, silent() as worse:
        resolver.answer = [dead, worse]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(HEAD_START_SECONDS + 0.05):
                await dialer().dial()


@pytest.mark.parametrize("failed", [True, False])
async def test_no_file_left_is_told_before_all_else(resolver: Resolver, failed: bool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as address, socket.socket() as probe:
        resolver.answer = [address, address]
        if failed:  # as resolvers say it that could read no file
            resolver.answer = socket.gaierror(socket.EAI_AGAIN, "x")
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe.fileno(), hard))
        try:
            with pytest.raises(OSError) as told:
                await dialer().dial()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert told.value.errno == errno.EMFILE


@pytest.mark.parametrize(("host", "family"), [
    ("127.0.0.1", V4), ("::1", V6), ("2001:db8::1", V6), ("localhost", None), ("1.2.3", None),
    ("1.2.3.4.example.org", None), ("::1%lo", None),
])
def test_literal(host: str, family: int | None) -> None:
    found = literal(host, 80)
    assert (found and (found[0], found[4])) == (family and (family, (host, 80)))


@given(st.lists(st.sampled_from([V4, V6])))
def test_interleaved_keeps_all_and_alternates_while_it_can(families: list[int]) -> None:
    infos: list[Info] = [(family, number) for number, family in enumerate(families)]
    mixed = interleaved(infos)
    assert sorted(mixed) == sorted(infos) and mixed[:1] == infos[:1]
    for family in (V4, V6):
        assert [i for i in mixed if i[0] == family] == [i for i in infos if i[0] == family]
    shorter = min(families.count(V4), families.count(V6))
    assert all(a[0] != b[0] for a, b in zip(mixed[:2 * shorter], mixed[1:2 * shorter]))
