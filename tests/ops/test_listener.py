"""The ops listener on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from relayd.ops.listener import OpsListener
from relayd.ops.metrics import Metrics

State = dict[str, tuple[bool, str]]


@pytest.fixture
def state() -> State:
    return {"ready": (True, "ok")}


@pytest.fixture
async def listener(state: State) -> AsyncIterator[OpsListener]:
    listener = OpsListener("127.0.0.1:0", Metrics(), lambda: state["ready"], "1.2.3")
    await listener.start()
    yield listener
    await listener.stop()


async def ask(listener: OpsListener, path: str, method: str = "GET") -> tuple[int, str, str]:
    host, port = listener.address
    url = f"http://{host}:{port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, response.headers["Content-Type"], await response.text()


async def test_address_after_start(listener: OpsListener) -> None:
    host, port = listener.address
    assert host == "127.0.0.1" and port > 0


async def test_metrics(listener: OpsListener) -> None:
    status, kind, text = await ask(listener, "/metrics")
    assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8"
    assert "relayd_calls_in_flight 0\n" in text


@pytest.mark.parametrize(("host", "status"), [
    ("127.0.0.1:9464", 200), ("localhost", 200), ("LocalHost:80", 200), ("[::1]:9464", 200),
    ("192.0.2.7:9464", 200), ("", 200), ("evil.example:9464", 421), ("[", 421),
    ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421),
    ("localhost@evil.example", 421),
])
async def test_metrics_of_a_loopback_address_are_asked_for_by_it(
    listener: OpsListener, host: str, status: int
) -> None:
    """Else any page in a browser of this machine could read them, once its name leads here."""
    url = f"http://127.0.0.1:{listener.address[1]}"
    async with aiohttp.ClientSession(headers={"Host": host}) as session:
        async with session.get(url + "/metrics") as response:
            assert response.status == status
            assert ("relayd_" in await response.text()) == (status == 200)
        async with session.get(url + "/livez") as response:
            assert response.status == 200


async def test_livez_does_not_depend_on_readiness(listener: OpsListener, state: State) -> None:
    state["ready"] = (False, "draining")
    assert (await ask(listener, "/livez"))[::2] == (200, "ok\n")


@pytest.mark.parametrize(("ready", "status", "reason"), [
    ((True, "ok"), 200, "ok"),
    ((False, "draining"), 503, "draining"),
    ((False, "store"), 503, "store"),
    ((False, "canary from elsewhere"), 503, "not_ready"),
    ((True, "canary"), 200, "ok"),
])
async def test_readyz_and_healthz(
    listener: OpsListener, state: State, ready: tuple[bool, str], status: int, reason: str,
) -> None:
    state["ready"] = ready
    assert (await ask(listener, "/readyz"))[::2] == (status, reason + "\n")
    code, kind, text = await ask(listener, "/healthz")
    assert (code, kind) == (status, "application/json")
    assert json.loads(text) == {"live": True, "ready": ready[0], "reason": reason,
                                "version": "1.2.3"}


async def test_head(listener: OpsListener) -> None:
    assert (await ask(listener, "/readyz", "HEAD"))[::2] == (200, "")


@pytest.mark.parametrize(("path", "method", "status"), [
    ("/", "GET", 404), ("/v1/models", "GET", 404), ("/metrics/x", "GET", 404),
    ("/metrics", "POST", 405),
])
async def test_nothing_else(
    listener: OpsListener, path: str, method: str, status: int,
) -> None:
    assert (await ask(listener, path, method))[0] == status


async def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    listener = OpsListener(f"unix:{path}", Metrics(), lambda: (True, "ok"))
    await listener.start()
    assert listener.address == (str(path), 0)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /livez HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    await listener.stop()
    assert answer.startswith(b"HTTP/1.0 200") and b"aiohttp" not in answer


async def test_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listener = OpsListener(address, Metrics(), lambda: (True, "ok"))
        with pytest.raises(OSError):
            await listener.start()
    await listener.stop()
