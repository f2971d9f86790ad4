"""TLS on both sides: the provider's certificate is checked, the client's bytes come through."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from relayd.ops.config import TlsFiles
from tests.fakes.daemon import ANSWER, BRISK, Lane, provider
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET

NAME = "127.0.0.1"


class Certified:
    """An authority, and what it signs, as files and contexts."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(directory / "ca.pem")
        self.ca_file = str(directory / "ca.pem")
        leaf = self.authority.issue_cert(NAME)
        leaf.private_key_pem.write_to_path(directory / "key.pem")
        leaf.cert_chain_pems[0].write_to_path(directory / "cert.pem")
        self.files = TlsFiles(str(directory / "cert.pem"), str(directory / "key.pem"))
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        leaf.configure_cert(self.server)
        self.client = ssl.create_default_context(cafile=self.ca_file)


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def lane(
    stack: AsyncExitStack, directory: Path, tls: Certified, ca_file: str | None
) -> Lane:
    """A relay with TLS on its listener, and with a provider behind TLS."""
    made = Lane(directory / "store", server={"tls": tls.files}, upstream_tls=tls.server,
                provider_changes={"ca_file": ca_file})
    return await stack.enter_async_context(made)


async def test_both_sides(tmp_path: Path, certified: Certified, stack: AsyncExitStack) -> None:
    opened = await lane(stack, tmp_path, certified, certified.ca_file)
    raw = request_bytes(TARGET, opened.key, BODY)
    async with RawClient(opened.address, tls=certified.client, server_name=NAME) as client:
        for _ in range(3):
            assert (await client.ask(raw)).body == ANSWER
        await client.send(raw, "bytes")
        assert (await client.final_reply()).body == ANSWER
        await client.send(raw * 4)
        assert [(await client.final_reply()).body for _ in range(4)] == [ANSWER] * 4
    assert opened.upstream.opened == 1
    assert len(opened.upstream.requests) == 8


async def test_certificate_of_nobody(
    tmp_path: Path, certified: Certified, stack: AsyncExitStack
) -> None:
    opened = await lane(stack, tmp_path, certified, None)
    async with RawClient(opened.address, tls=certified.client, server_name=NAME) as client:
        reply = await client.ask(request_bytes(TARGET, opened.key, BODY))
    assert reply.status == 502 and b"upstream_tls" in reply.body
    assert opened.upstream.requests == []


async def test_D1_plain_http_at_a_tls_listener(
    tmp_path: Path, certified: Certified, stack: AsyncExitStack
) -> None:
    opened = await lane(stack, tmp_path, certified, certified.ca_file)
    async with RawClient(opened.address) as client:
        await client.send(request_bytes(TARGET, opened.key, BODY))
        assert b"HTTP" not in await client.reader.read()
    assert opened.upstream.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_D1_old_tls_is_refused(
    tmp_path: Path, certified: Certified, stack: AsyncExitStack, version: ssl.TLSVersion
) -> None:
    opened = await lane(stack, tmp_path, certified, certified.ca_file)
    old = ssl.create_default_context(cafile=certified.ca_file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with RawClient(opened.address, tls=old, server_name=NAME):
            pass
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with RawClient(opened.address, tls=old, server_name=NAME) as client:
        assert (await client.ask(request_bytes(TARGET, opened.key, BODY))).status == 200


async def test_tls_provider_that_speaks_plainly(
    tmp_path: Path, stack: AsyncExitStack, certified: Certified
) -> None:
    opened = await stack.enter_async_context(Lane(tmp_path / "store"))
    far = provider("openai", opened.upstream.port)
    address = replace(far.address, scheme="https")
    other = await stack.enter_async_context(
        Lane(tmp_path / "other", provider_changes={"address": address,
                                                   "ca_file": certified.ca_file, **BRISK}))
    reply = await ask(other.address, request_bytes(TARGET, other.key, BODY))
    assert reply.status == 502
    assert opened.upstream.requests == []
