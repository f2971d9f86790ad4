"""Connections at the door: limits before and during the handshake, and a process without files."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from relayd.ops.config import TlsFiles
from tests.fakes.daemon import ANSWER, Lane, plain_answer
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import RawUpstream
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def refused(address: tuple[str, int]) -> bool:
    """Whether a new connection is closed at once."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(0.3):
            return await reader.read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.close()


async def served(lane: Lane) -> bool:
    return (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).body == ANSWER


async def settled(lane: Lane, count: int) -> None:
    plane = lane.app._plane
    assert plane is not None
    async with asyncio.timeout(3):
        while len(plane.connections) + plane.handshakes != count:
            await asyncio.sleep(0.01)


async def test_connections_of_one_address(opened: Opened) -> None:
    lane = await opened(server={"connections_per_address_max": 2})
    async with RawClient(lane.address), RawClient(lane.address):
        await settled(lane, 2)
        assert await refused(lane.address)
    await settled(lane, 0)
    assert len(lane.app._plane.addresses) == 0  # type: ignore[union-attr]
    assert await served(lane)
    assert '"event":"connection_refused","reason":"connections_per_address_max","count":1' \
        in lane.log.getvalue()
    assert "127.0.0.1" not in lane.log.getvalue().replace("127.0.0.1:", "")


async def test_a_proxy_before_the_relay_is_not_one_client(opened: Opened) -> None:
    lane = await opened(server={"connections_per_address_max": 1,
                                "trusted_proxies": ("127.0.0.0/8",)})
    async with RawClient(lane.address), RawClient(lane.address):
        await settled(lane, 2)
        assert await served(lane)


async def test_connections_max(opened: Opened) -> None:
    lane = await opened(server={"connections_max": 2})
    async with RawClient(lane.address), RawClient(lane.address):
        await settled(lane, 2)
        assert await refused(lane.address)
    await settled(lane, 0)
    assert await served(lane)


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    leaf = trustme.CA().issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return TlsFiles(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))


async def test_a_handshake_counts_and_ends(opened: Opened, tls: TlsFiles) -> None:
    lane = await opened(server={"tls": tls, "connections_max": 3, "header_seconds": 0.3,
                                "connections_per_address_max": 3})
    silent = [await asyncio.open_connection(*lane.address) for _ in range(3)]
    await settled(lane, 3)
    assert await refused(lane.address)
    began = time.monotonic()
    for reader, writer in silent:
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        writer.close()
    assert time.monotonic() - began < 1.5
    await settled(lane, 0)
    assert len(lane.app._plane.addresses) == 0  # type: ignore[union-attr]


async def test_handshakes_that_fail_leave_nothing(opened: Opened, tls: TlsFiles) -> None:
    lane = await opened(server={"tls": tls, "connections_per_address_max": 9})
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""):
        reader, writer = await asyncio.open_connection(*lane.address)
        writer.write(said)
        writer.close()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):  # a client that does not trust us
        await asyncio.open_connection(*lane.address, ssl=context)
    await settled(lane, 0)
    assert len(lane.app._plane.addresses) == 0  # type: ignore[union-attr]
    assert '"level":"error"' not in lane.log.getvalue()


async def test_who_has_connected_before_the_door_closes_is_served(opened: Opened) -> None:
    lane = await opened(server={"drain_seconds": 3.0, "leave_seconds": 0.5})
    with socket.create_connection(lane.address) as sock:  # not accepted: the loop has had no turn
        stopping = asyncio.ensure_future(lane.app.stop())
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(
            sock, request_bytes(TARGET, lane.key, BODY))
        async with asyncio.timeout(3):
            answer = await asyncio.get_running_loop().sock_recv(sock, 65536)
        assert answer.startswith(b"HTTP/1.1 200 ") and ANSWER in answer
    await stopping


async def test_no_file_left(tmp_path: Path) -> None:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    async with DaemonProcess(tmp_path / "daemon", upstream.port) as daemon:
        raw = request_bytes(TARGET, daemon.key, BODY)
        assert (await ask(daemon.address, raw)).body == ANSWER
        await daemon.calm()
        pid = daemon.pid
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files + 20, limits[1]))
        held = [await asyncio.open_connection(*daemon.address) for _ in range(40)]
        await asyncio.sleep(0.2)
        before = daemon.cpu_seconds()
        await asyncio.sleep(0.7)  # header_seconds is 1: the first are still there
        assert daemon.cpu_seconds() - before < 0.25
        notice = daemon.event("accept_paused")
        assert notice is not None and notice["reason"] == "exhausted"
        for _, writer in held:
            writer.close()
        assert (await ask(daemon.address, raw)).body == ANSWER
        assert '"level":"error"' not in daemon.log()
    await upstream.stop()


# -- behind a balancer that says who its client is ------------------------------------------------

LISTEN = "127.0.0.1:0"
BEHIND: dict[str, Any] = {"listen": (LISTEN,), "proxy_protocol": (LISTEN,),
                          "trusted_proxies": ("127.0.0.0/8",)}
LINE = b"PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\r\n"
BINARY = (b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24"
          + bytes.fromhex("20010db8000000000000000000000007") + bytes(16) + b"\xdc\x04\x01\xbb")
UNSAID = b"PROXY UNKNOWN\r\n"


async def is_cut_off(client: RawClient, raw: bytes) -> bool:
    """Whether the relay closes without an answer (a reset, where it left something unread)."""
    with suppress(ConnectionError):
        await client.send(raw)
        async with asyncio.timeout(2):
            return not await client.reader.read()
    return True


async def behind(opened: Opened, **server: Any) -> Lane:
    """A relay behind a balancer, whose network records stay for the test."""
    lane = await opened(server={**BEHIND, **server})
    await lane.app._jobs["network"].stop()
    return lane


def network_records(lane: Lane) -> list[tuple[str | None, int | None]]:
    plane = lane.app._plane
    assert plane is not None
    return [(each.address, each.port) for each in plane.network.take()]


@pytest.mark.parametrize(("header", "known"), [
    (LINE, ("192.0.2.7", 56324)), (BINARY, ("2001:db8::7", 56324)), (UNSAID, (None, None))])
@pytest.mark.parametrize("pace", ["once", "bytes"])
async def test_a_balancer_says_who_its_client_is(
    opened: Opened, header: bytes, known: tuple[str | None, int | None], pace: str
) -> None:
    lane = await behind(opened)
    spoofed = request_bytes(TARGET, lane.key, BODY, fields=(("X-Forwarded-For", "198.51.100.1"),))
    async with RawClient(lane.address) as client:
        await client.send(header + spoofed, pace)
        assert (await client.final_reply()).body == ANSWER
        assert (await client.ask(spoofed)).body == ANSWER
    assert network_records(lane) == [known]


async def test_what_follows_the_header_may_be_tls(opened: Opened, tls: TlsFiles) -> None:
    lane = await behind(opened, tls=tls)
    plain = socket.create_connection(lane.address)
    plain.sendall(LINE)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=context, server_hostname="relay.test")
    writer.write(request_bytes(TARGET, lane.key, BODY))
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    assert network_records(lane) == [("192.0.2.7", 56324)]


async def test_the_client_of_a_balancer_has_the_limit_of_an_address(opened: Opened) -> None:
    lane = await opened(server={**BEHIND, "connections_per_address_max": 1})
    raw = request_bytes(TARGET, lane.key, BODY)
    async with RawClient(lane.address) as one, RawClient(lane.address) as other:
        assert (await one.ask(LINE + raw)).body == ANSWER
        assert await is_cut_off(other, LINE + raw)
        for unlimited in (BINARY, UNSAID, UNSAID):
            async with RawClient(lane.address) as client:
                assert (await client.ask(unlimited + raw)).body == ANSWER
    await settled(lane, 0)
    assert len(lane.app._plane.addresses) == 0  # type: ignore[union-attr]
    assert lane.app._plane.addresses.refused == {  # type: ignore[union-attr]
        "connections_per_address_max": 1}


@pytest.mark.parametrize("first", [
    b"GET / HTTP/1.1\r\n\r\n", LINE[:-2], b"PROXY TCP4 1.2.3.4\r\n" + LINE, BINARY[:-1], b"\r"])
async def test_who_says_nothing_of_it_is_not_heard(opened: Opened, first: bytes) -> None:
    lane = await opened(server={**BEHIND, "header_seconds": 0.3})
    async with RawClient(lane.address) as client:
        assert await is_cut_off(client, first)
    await settled(lane, 0)
    assert '"event":"connection_refused","reason":"proxy_protocol"' in lane.log.getvalue()
    assert b'relayd_connection_refusals_total{reason="proxy_protocol"} 1' in \
        lane.app.metrics.render()
    assert '"level":"error"' not in lane.log.getvalue()


async def test_a_balancer_that_only_looks_leaves_no_line(opened: Opened) -> None:
    lane = await opened(server=BEHIND)
    for _ in range(3):
        _, writer = await asyncio.open_connection(*lane.address)
        writer.close()
    await asyncio.sleep(0.05)
    await settled(lane, 0)
    assert "connection_refused" not in lane.log.getvalue()


async def test_who_is_no_balancer_of_ours_is_not_heard(opened: Opened) -> None:
    lane = await opened(server={**BEHIND, "trusted_proxies": ("10.0.0.0/8",)})
    async with RawClient(lane.address) as client:
        assert await is_cut_off(client, LINE + request_bytes(TARGET, lane.key, BODY))
    assert '"event":"connection_refused","reason":"not_trusted"' in lane.log.getvalue()


async def test_a_relay_behind_a_balancer_stops_while_one_says_nothing(opened: Opened) -> None:
    lane = await opened(server=BEHIND)
    async with RawClient(lane.address) as client:
        await settled(lane, 1)
        async with asyncio.timeout(5):
            await lane.app.stop()
        assert await client.reply() is None
    await settled(lane, 0)


async def test_clients_are_kept_alive(opened: Opened) -> None:
    lane = await opened()
    async with RawClient(lane.address):
        await settled(lane, 1)
        [connection] = lane.app._plane.connections  # type: ignore[union-attr]
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
