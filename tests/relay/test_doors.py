"""Public listeners: every kind of socket, and what is left behind when they close."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from relayd.ops.config import ServerConfig, TlsFiles
from relayd.ops.logging import Capture, Logger
from relayd.relay.doors import Doors, _unix
from tests.fakes.daemon import ANSWER
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


async def over_unix(path: Path, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(raw)
    reply = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(ANSWER))
    writer.close()
    await writer.wait_closed()
    return reply


async def test_the_socket_of_who_took_the_place_is_left(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    plane = plane_of(await opened())
    old, new = (Doors(plane, ServerConfig((f"unix:{path}",)), 0) for _ in range(2))
    await old.open()
    path.unlink()
    await new.open()
    await old.close()
    assert path.exists()
    await new.close()
    assert not path.exists()


async def test_a_socket_that_may_not_be_removed_does_not_keep_the_end_waiting(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise PermissionError

    doors = Doors(plane_of(await opened()), ServerConfig((f"unix:{tmp_path}/relay.sock",)), 0)
    await doors.open()
    monkeypatch.setattr(os, "unlink", refuse)
    await doors.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(f"{tmp_path}/relay.sock")


async def test_several_listeners(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    listen = [f"unix:{path}", "127.0.0.1:0", "127.0.0.1:0"]
    if has_ipv6():
        listen.append("[::1]:0")
    lane = await opened(server={"listen": tuple(listen)})
    raw = request_bytes(TARGET, lane.key, BODY)
    assert lane.address[0] == "127.0.0.1"
    assert (await ask(lane.address, raw)).body == ANSWER
    assert (await over_unix(path, raw)).endswith(ANSWER)
    await lane.app.stop()
    assert not path.exists()
    with pytest.raises(OSError):
        await asyncio.open_connection(*lane.address)


async def test_a_renewed_certificate_serves_the_next_handshake(
    opened: Opened, tmp_path: Path,
) -> None:
    authority = trustme.CA()
    files = TlsFiles(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))

    def issue(serial: str, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> None:
        made = authority.issue_cert("127.0.0.1", common_name=serial, key_type=kind)
        made.private_key_pem.write_to_path(files.key)
        (tmp_path / "tls.crt").write_bytes(b"".join(p.bytes() for p in made.cert_chain_pems))

    issue("first")
    lane = await opened(server={"tls": files})
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def name() -> str:
        _, writer = await asyncio.open_connection(*lane.address, ssl=context)
        subject = writer.get_extra_info("peercert")["subject"]
        writer.close()
        return str(dict(pair for (pair,) in subject)["commonName"])

    assert await name() == "first"
    (tmp_path / "tls.crt").write_bytes(b"broken")
    with pytest.raises(OSError):
        lane.app.reload(lane.app.config)
    assert await name() == "first"
    issue("second")
    lane.app.reload(lane.app.config)
    assert await name() == "second"
    for serial, kind in (("third", trustme.KeyType.RSA), ("fourth", trustme.KeyType.ECDSA)):
        issue(serial, kind)
        lane.app.reload(lane.app.config)
        assert await name() == serial


async def test_who_leaves_in_a_handshake_is_no_defect(opened: Opened, tmp_path: Path) -> None:
    made = trustme.CA().issue_cert("127.0.0.1")
    files = TlsFiles(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    made.cert_chain_pems[0].write_to_path(files.certificate)
    made.private_key_pem.write_to_path(files.key)
    lane = await opened(server={"tls": files})
    told: list[object] = []
    said = io.StringIO()
    capture = Capture(Logger("debug", said))

    def handler(loop: object, context: dict[str, Any]) -> None:
        told.append(context)
        capture.of_loop(loop, context)

    asyncio.get_running_loop().set_exception_handler(handler)
    _, writer = await asyncio.open_connection(*lane.address)  # as load balancers look in
    writer.close()
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(*lane.address, ssl=ssl.create_default_context())
    async with asyncio.timeout(5):
        while len(told) < 2:
            await asyncio.sleep(0.01)
    assert said.getvalue() == ""


async def test_two_processes_may_share_a_port(opened: Opened) -> None:
    lane = await opened(server={"reuse_port": True})
    port = lane.address[1]
    plane = lane.app._plane
    assert plane is not None
    for shared in (True, False):
        doors = Doors(plane, ServerConfig((f"127.0.0.1:{port}",), reuse_port=shared), 0)
        if shared:
            await doors.open()
            await doors.close()
        else:
            with pytest.raises(OSError):
                await doors.open()


async def test_a_socket_that_was_left_behind_is_replaced(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    lane = await opened(server={"listen": (f"unix:{path}", "127.0.0.1:0")})
    raw = request_bytes(TARGET, lane.key, BODY)
    assert (await over_unix(path, raw)).endswith(ANSWER)


async def test_a_file_at_the_place_of_a_socket_is_left_alone(
    opened: Opened, tmp_path: Path
) -> None:
    path = tmp_path / "relayd.toml"
    path.write_text("precious")
    lane = await opened()
    plane = lane.app._plane
    assert plane is not None
    doors = Doors(plane, ServerConfig((f"unix:{path}",)), 0)
    with pytest.raises(OSError, match=f"listen, unix:{path}: there is something"):
        await doors.open()
    await doors.close()
    assert path.read_text() == "precious"


async def test_a_socket_that_another_process_serves_is_left_alone(
    opened: Opened, tmp_path: Path
) -> None:
    path = tmp_path / "relay.sock"
    lane = await opened()
    plane = lane.app._plane
    assert plane is not None
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        doors = Doors(plane, ServerConfig((f"unix:{path}",)), 0)
        with pytest.raises(OSError):
            await doors.open()
        await doors.close()
        assert path.exists()


async def test_a_port_that_is_taken(opened: Opened) -> None:
    lane = await opened()
    plane = lane.app._plane
    assert plane is not None
    doors = Doors(plane, ServerConfig(("127.0.0.1:%d" % lane.address[1],)), 0)
    with pytest.raises(OSError):
        await doors.open()
    await doors.close()
    with pytest.raises(LookupError):
        _ = doors.address


async def test_sockets_that_were_handed_over(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()
    plane = lane.app._plane
    assert plane is not None
    given = socket.create_server(("127.0.0.1", 0))
    number = os.dup(given.fileno())
    monkeypatch.setattr("relayd.relay.doors.SYSTEMD_FIRST_FD", number)
    doors = Doors(plane, ServerConfig(("systemd",)), 1)
    given.close()
    await doors.open()
    reply = await ask(doors.address, request_bytes(TARGET, lane.key, BODY))
    assert reply.body == ANSWER
    await doors.close()


async def test_tls(opened: Opened, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("relay.test")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "relay.pem"))
    files = TlsFiles(str(tmp_path / "relay.pem"), str(tmp_path / "relay.pem"))
    lane = await opened(server={"tls": files})
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.configure_trust(context)
    async with RawClient(lane.address, tls=context, server_name="relay.test") as client:
        for _ in range(2):
            reply = await client.ask(request_bytes(TARGET, lane.key, BODY))
            assert (reply.status, reply.body) == (200, ANSWER)
        tls = client.writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert tls.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(("port", "hint"), [(80, True), (8080, False)])
async def test_a_port_of_root_s_is_told_to_be_one(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, port: int, hint: bool
) -> None:
    plane = plane_of(await opened())

    def refuses(self: Doors, listen: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Doors, "_bind", refuses)
    with pytest.raises(OSError, match=f"127.0.0.1:{port}: Permission denied") as caught:
        await Doors(plane, ServerConfig((f"127.0.0.1:{port}",)), 0).open()
    assert ("relayd.socket" in str(caught.value)) is hint


def test_a_socket_whose_queue_is_full_is_in_use(tmp_path: Path) -> None:
    """And nobody waits for ever to find that out."""
    path = str(tmp_path / "api.sock")
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as stack:
        busy.bind(path)
        busy.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(path)
        with pytest.raises(OSError, match="in use"):
            _unix(path)
        assert Path(path).is_socket()
