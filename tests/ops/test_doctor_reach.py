"""Reaching providers and the daemon, on real sockets of this machine."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from relayd.core.provider import Address, Provider
from relayd.ops import doctor_reach
from relayd.ops.doctor_reach import (
    daemon_finding, health_findings, memory_finding, provider_finding,
)
from relayd.ops.listener import OpsListener
from relayd.ops.metrics import Gauges, Metrics

Served = tuple[int, list[bytes]]


@pytest.fixture
async def plain() -> AsyncIterator[Served]:
    """A provider without TLS: its port, and every byte that it was sent."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], received


def provider(port: int, scheme: str = "http", **more: object) -> Provider:
    address = Address(scheme, "127.0.0.1", port, "/v1")  # type: ignore[arg-type]
    return dataclasses.replace(Provider("p", "openai", address, ("sk-canary",)), **more)


async def test_reached_and_nothing_sent(plain: Served) -> None:
    port, received = plain
    finding = await provider_finding(provider(port))
    assert finding.level == "ok"
    for _ in range(100):
        if received:
            break
        await asyncio.sleep(0.01)
    assert received == [b""]


async def test_no_tls_where_it_is_wanted() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        finding = await provider_finding(provider(server.sockets[0].getsockname()[1], "https"))
    assert finding.level == "fail" and "no TLS is possible (" in finding.sentence


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


async def test_refused() -> None:
    finding = await provider_finding(provider(free_port()))
    assert finding.level == "fail" and "refused" in finding.sentence


@pytest.mark.parametrize(("error", "words", "daemon"), [
    (OSError("Multiple exceptions: [Errno 101] Connect call failed ('::1', 1, 0, 0), "
             "[Errno 111] Connect call failed ('127.0.0.1', 1)"), "is refused", "not running"),
    (OSError(113, "No route to host"), "fails (No route to host)", "(No route to host)"),
    (OSError("what has no number"), "fails (OSError)", "(OSError)"),
], ids=["several addresses", "no way", "no number"])
async def test_why_no_connection_can_be_made_is_said(
    monkeypatch: pytest.MonkeyPatch, error: OSError, words: str, daemon: str
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("asyncio.open_connection", fails)
    assert words in (await provider_finding(provider(1))).sentence
    assert daemon in (await daemon_finding("127.0.0.1:1")).sentence


async def test_a_connection_that_is_ended_at_once() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(leave, "127.0.0.1", 0)
    async with server:
        finding = await provider_finding(provider(server.sockets[0].getsockname()[1]))
    assert finding.level == "fail" and "as soon as it is made" in finding.sentence
    reader = asyncio.StreamReader()
    reader.set_exception(ConnectionResetError())
    assert await doctor_reach._leaves(reader)


async def test_name_that_is_not_known() -> None:
    address = Address("http", "nowhere.invalid", 80, "")
    finding = await provider_finding(Provider("p", "openai", address, ()))
    assert finding.level == "fail" and "resolved" in finding.sentence


async def test_proxied_is_not_examined() -> None:
    assert (await provider_finding(provider(1, proxy="http://127.0.0.1:1"))).level == "warn"


@pytest.mark.parametrize(("code", "words"), [
    (9, "clock"), (10, "clock"), (62, "base_url"), (64, "base_url"), (20, "ca_file"),
])
def test_what_to_do_about_a_certificate(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code = code
    assert words in doctor_reach._remedy(error)


@pytest.mark.parametrize(("host", "trusted", "words"), [
    ("127.0.0.1", True, "over TLS"), ("127.0.0.1", False, "certificate is not accepted"),
    ("other.example", True, "certificate is not accepted"),
])
async def test_tls(host: str, trusted: bool, words: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        ca_file = str(tmp_path / "ca.pem") if trusted else None
        port = server.sockets[0].getsockname()[1]
        finding = await provider_finding(provider(port, "https", ca_file=ca_file))
        await asyncio.sleep(0.05)
    assert words in finding.sentence
    assert finding.level == ("ok" if words == "over TLS" else "fail")


async def test_tls_to_a_server_that_is_silent(plain: Served) -> None:
    finding = await provider_finding(provider(plain[0], "https"), 0.1)
    assert finding.level == "fail" and "in time" in finding.sentence
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(("ready", "level"), [
    ((True, "ok"), "ok"), ((False, "draining"), "warn"), ((False, "store"), "fail"),
])
async def test_daemon(ready: tuple[bool, str], level: str) -> None:
    listener = OpsListener("127.0.0.1:0", Metrics(), lambda: ready)
    await listener.start()
    finding = await daemon_finding(f"127.0.0.1:{listener.address[1]}")
    await listener.stop()
    assert finding.level == level


async def test_daemon_on_a_unix_socket(tmp_path: Path) -> None:
    listener = OpsListener(f"unix:{tmp_path}/ops", Metrics(), lambda: (True, "ok"))
    await listener.start()
    finding = await daemon_finding(f"unix:{tmp_path}/ops")
    await listener.stop()
    assert finding.level == "ok" and "is ready" in finding.sentence


async def test_stopped_daemon_is_no_fault(tmp_path: Path) -> None:
    for listen in (f"127.0.0.1:{free_port()}", f"unix:{tmp_path}/none"):
        finding = await daemon_finding(listen)
        assert finding.level == "ok" and "not running" in finding.sentence


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>",
                                    b"HTTP/1.1 200 OK\r\n\r\n\xff", b"x" * 10_000])
async def test_something_else_at_the_address(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        finding = await daemon_finding(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert finding.level == "fail"


@pytest.mark.parametrize(("wiped", "wanted", "level"), [
    (True, True, "ok"), (True, False, "ok"), (False, True, "fail"), (False, False, "warn")])
async def test_what_a_daemon_says_of_its_memory(wiped: bool, wanted: bool, level: str) -> None:
    metrics = Metrics([], [], version="1")
    metrics.gauges = Gauges(memory_wiped=lambda: wiped)
    ops = OpsListener("127.0.0.1:0", metrics, lambda: (True, "ok"))
    await ops.start()
    try:
        finding = await memory_finding(f"127.0.0.1:{ops.address[1]}", wanted)
    finally:
        await ops.stop()
    assert finding is not None and finding.level == level
    assert bool(finding.remedy) == (level != "ok")
    assert await memory_finding(f"127.0.0.1:{free_port()}", wanted) is None


@pytest.mark.parametrize(("up", "states", "level"), [
    (1, {"healthy": 1}, None), (1, {"healthy": 1, "down": 2}, None), (0, {"down": 1}, "fail"),
    (1, {"healthy": 0, "down": 1}, "warn"), (1, {"cooling": 1}, "warn"), (1, {}, None),
])
async def test_what_the_daemon_says_of_its_providers(
    up: float, states: dict[str, float], level: str | None,
) -> None:
    lines = [f'relayd_provider_up{{provider="p"}} {up}', 'relayd_provider_up{provider="q"} 1']
    lines += [f'relayd_deployments{{provider="p",state="{name}"}} {value}'
              for name, value in states.items()]
    page = "\n".join(lines).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + page)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        listen = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        findings = await health_findings(listen, ["p", "q"])
    assert [(each.subject, each.level) for each in findings] == (
        [] if level is None else [("provider p", level)])


async def test_a_daemon_that_does_not_run_says_nothing_of_providers() -> None:
    assert await health_findings(f"127.0.0.1:{free_port()}", ["p"]) == []
