"""Network records: one for a connection and key, whoever stands between; nothing goes upstream."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from relayd.control import account
from relayd.control import network as control_network
from relayd.core.network import NetworkRecord
from relayd.ops.config import TlsFiles
from relayd.relay import network
from relayd.relay.network import NetworkLog
from relayd.store.db import open_database
from tests.fakes.daemon import Lane, issue
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

AGENT = ("User-Agent", "AsyncOpenAI/Python 3.54.0 on anna-laptop")
PROXIES = {"trusted_proxies": ("127.0.0.0/8",)}


def log_of(lane: Lane) -> NetworkLog:
    plane = lane.app._plane
    assert plane is not None
    return plane.network


async def send(
    client: RawClient, key: str, *fields: tuple[str, str], body: bytes = BODY, status: int = 200
) -> None:
    await client.send(request_bytes(TARGET, key, body, fields=fields))
    assert (await client.final_reply()).status == status


@pytest.fixture
async def relay(opened: Opened) -> Opened:
    """Opens relays that keep what they note for the test."""

    async def one(**wishes: Any) -> Lane:
        lane = await opened(**wishes)
        await lane.app._jobs["network"].stop()
        return lane

    return one


@pytest.fixture
async def direct(relay: Opened) -> Lane:
    return await relay()


async def test_a_connection_and_key_has_one_record(direct: Lane) -> None:
    async with RawClient(direct.address) as client:
        for count in range(3):
            await send(client, direct.key, AGENT)
        await send(client, direct.key, AGENT, ("X-Other", "another head"))
        port = client.writer.get_extra_info("sockname")[1]
    [record] = log_of(direct).take()
    assert (record.address, record.port, record.tls, record.client) == (
        "127.0.0.1", port, "none", "openai-python/3")
    assert record.account.startswith("acct_") and record.key.startswith("key_")
    async with RawClient(direct.address) as client:
        await send(client, direct.key)
    [record] = log_of(direct).take()
    assert record.client == "none" and record.port != port


async def test_another_key_on_a_connection_has_its_own(direct: Lane) -> None:
    other = await issue(direct.store, "another@example.com")
    await direct.app.refresh()
    async with RawClient(direct.address) as client:
        for key in (direct.key, other, direct.key, other):
            await send(client, key)
    one, two = log_of(direct).take()
    assert one.account != two.account and one.key != two.key and one.port == two.port


async def test_who_has_no_key_has_no_record(direct: Lane) -> None:
    await ask(direct.address, request_bytes(TARGET, "sk-nobody", BODY))
    assert log_of(direct).take() == []


async def test_a_connection_that_goes_on_is_written_down_again(
    direct: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "AGAIN_SECONDS", 0.0)
    async with RawClient(direct.address) as client:
        for _ in range(3):
            await send(client, direct.key)
    assert len(log_of(direct)) >= 3  # the sweep may have seen one of them, too


async def test_a_call_that_goes_on_is_written_down_again(
    relay: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await relay(server={"body_seconds": 10.0})
    monkeypatch.setattr(network, "AGAIN_SECONDS", 0.3)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY)[:-5])
        async with asyncio.timeout(8):
            while len(log_of(lane)) < 3:
                await asyncio.sleep(0.05)
        await client.send(BODY[-5:])
        assert (await client.final_reply()).status == 200
    first, second, third = log_of(lane).take()[:3]
    assert first.at_ms < second.at_ms < third.at_ms
    assert first.port == second.port == third.port and first.key == third.key


async def test_the_client_behind_a_proxy(relay: Opened) -> None:
    lane = await relay(server=PROXIES)
    for _ in range(2):  # whichever connection the proxy takes
        async with RawClient(lane.address) as client:
            await send(client, lane.key, ("X-Forwarded-For", "192.0.2.7:4711"))
            await send(client, lane.key, ("X-Forwarded-For", "198.51.100.1, 192.0.2.7"))
            await send(client, lane.key, ("X-Forwarded-For", "198.51.100.2, 192.0.2.7"))
            await send(client, lane.key, ("X-Forwarded-For", "2001:db8::7"))
    found = [(record.address, record.port) for record in log_of(lane).take()]
    assert found == [("192.0.2.7", 4711), ("2001:db8::7", None)]


async def test_what_is_remembered_of_clients_has_a_bound(
    relay: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field that a client sends is remembered beside its address."""
    monkeypatch.setattr(network, "CLIENTS_MAX", 4)
    lane = await relay(server=PROXIES)
    async with RawClient(lane.address) as client:
        for last in (1, 2, 1, 3, 1, 3):
            await send(client, lane.key, ("X-Forwarded-For", f"192.0.2.{last}"))
    assert [record.address for record in log_of(lane).take()] == [
        f"192.0.2.{last}" for last in (1, 2, 3, 1)]


async def test_others_cannot_say_who_they_are(direct: Lane) -> None:
    async with RawClient(direct.address) as client:
        await send(client, direct.key, ("X-Forwarded-For", "192.0.2.7"))
    assert [record.address for record in log_of(direct).take()] == ["127.0.0.1"]


async def test_a_reload_changes_who_is_trusted(direct: Lane) -> None:
    async with RawClient(direct.address) as client:
        await send(client, direct.key, ("X-Forwarded-For", "192.0.2.7"))
        config = direct.app.config
        direct.app.reload(replace(config, server=replace(config.server, **PROXIES)))
        await send(client, direct.key, ("X-Forwarded-For", "192.0.2.7"), ("X-New", "head"))
    assert [r.address for r in log_of(direct).take()] == ["127.0.0.1", "192.0.2.7"]


async def test_the_version_of_tls(relay: Opened, tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    lane = await relay(server={"tls": TlsFiles(str(tmp_path / "cert.pem"),
                                               str(tmp_path / "key.pem"))})
    context = ssl.create_default_context()
    authority.configure_trust(context)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.maximum_version = version
        async with RawClient(lane.address, tls=context, server_name="127.0.0.1") as client:
            await send(client, lane.key)
    assert [(r.tls, r.address) for r in log_of(lane).take()] == [
        ("1.2", "127.0.0.1"), ("1.3", "127.0.0.1")]


def test_records_max() -> None:
    log = NetworkLog(records_max=3)
    made = [NetworkRecord(n, "acct_1", "key_1", None, None, "none", "other") for n in range(5)]
    log.give_back(made)
    assert len(log) == 3 and log.lost == 2
    assert log.take() == made[:3] and log.take() == []


async def test_a_full_log_keeps_nobody_waiting(direct: Lane) -> None:
    log = log_of(direct)
    log._max = 1
    for _ in range(3):
        async with RawClient(direct.address) as client:
            await send(client, direct.key)
    assert len(log) == 1 and log.lost == 2


async def test_I2d_nothing_of_a_network_record_goes_upstream(relay: Opened) -> None:
    lane = await relay(server=PROXIES)
    async with RawClient(lane.address) as client:
        await send(client, lane.key, AGENT, ("X-Forwarded-For", "192.0.2.77"))
        port = str(client.writer.get_extra_info("sockname")[1]).encode()
    [record] = log_of(lane).take()
    assert record.address == "192.0.2.77" and record.client == "openai-python/3"
    sent = b"".join(request.raw for request in lane.upstream.requests)
    assert sent
    for word in (b"192.0.2.77", b"openai-python", b"OpenAI/Python", b"anna-laptop", port,
                 record.account.encode(), record.key.encode()):
        assert word not in sent


async def test_what_is_noted_is_in_the_store_when_the_relay_has_stopped(
    opened: Opened, tmp_path: Path
) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        await send(client, lane.key, AGENT)
    await lane.app.stop()
    db = await open_database(lane.store)
    try:
        owner = await account.find(db, "someone@example.com")
        [record] = await control_network.own(db, owner.id)
    finally:
        await db.close()
    assert (record.address, record.client) == ("127.0.0.1", "openai-python/3")
    assert "127.0.0.1" not in lane.log.getvalue()
