"""The way to partners, against a real server: only what is declared, only there, bounded."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiohttp import web

from relayd.core.errors import RelayError
from relayd.ops.partner import PartnerClient
from relayd.wire.partner import PartnerReply, PartnerRequest


class Desk:
    """A partner that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.base = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(request)
        self.bodies.append(await request.read())
        if request.path == "/moved":
            raise web.HTTPFound("http://elsewhere.test/")
        if request.path == "/large":
            return web.Response(body=b"x" * 2000)
        if request.path == "/cut":
            assert request.transport is not None
            request.transport.close()
        return web.Response(text="hello", headers={"Set-Cookie": "a=b", "X-Told": "yes"})


@asynccontextmanager
async def running() -> AsyncIterator[Desk]:
    made = Desk()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with running() as made:
        yield made


def asking(
    *requests: PartnerRequest
) -> Generator[PartnerRequest, PartnerReply, list[PartnerReply]]:
    replies = []
    for request in requests:
        replies.append((yield request))
    return replies


def get(target: str, *fields: str) -> PartnerRequest:
    return PartnerRequest("GET", target, fields, {"authorization": "secret"})


async def test_a_conversation(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    client = PartnerClient("stripe", desk.base)
    first = PartnerRequest("POST", "/a?b=%20c", ("amount",), {"x-one": "1"}, b"amount=1")
    replies = await client.run(asking(first, get("/b")))
    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].headers["x-told"] == "yes" and replies[0].body == b"hello"
    assert desk.bodies == [b"amount=1", b""]
    assert desk.heard[0].raw_path == "/a?b=%20c"
    # nothing that says who we are, and no cookie that came before
    assert not {"User-Agent", "Cookie", "Accept-Encoding"} & set(desk.heard[1].headers)
    assert await client.run(asking()) == []


def test_names_are_looked_up_on_threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def resolver(host: str, port: int, **_: Any) -> Any:
        threads.append(threading.current_thread().name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def work() -> int:
        async with running() as desk:
            monkeypatch.setattr(socket, "getaddrinfo", resolver)
            base = desk.base.replace("127.0.0.1", "desk.test")
            [reply] = await PartnerClient("stripe", base).run(asking(get("/b")))
            return reply.status

    assert uvloop.run(work()) == 200 and threads == ["name look-up"]


async def test_what_is_not_declared_does_not_leave(desk: Desk) -> None:
    with pytest.raises(RelayError) as caught:
        await PartnerClient("stripe", desk.base).run(asking(get("/a", "amount", "email")))
    assert caught.value.code == "undeclared_field"
    assert desk.heard == []


async def test_redirects_are_not_followed(desk: Desk) -> None:
    [reply] = await PartnerClient("stripe", desk.base).run(asking(get("/moved")))
    assert reply.status == 302 and len(desk.heard) == 1


@pytest.mark.parametrize("target", ["/large", "/cut"])
async def test_answers_that_are_too_large_or_none(desk: Desk, target: str) -> None:
    client = PartnerClient("stripe", desk.base, reply_bytes_max=1000)
    with pytest.raises(RelayError) as caught:
        await client.run(asking(get(target)))
    assert caught.value.code == "partner_failed"
    assert "secret" not in repr(caught.value) and caught.value.__cause__ is None


async def test_a_partner_that_is_not_there() -> None:
    with pytest.raises(RelayError) as caught:
        await PartnerClient("stripe", "http://127.0.0.1:9").run(asking(get("/a")))
    assert caught.value.code == "partner_failed"


@pytest.mark.parametrize("kind, target, fits", [
    ("alipay", "https://dwbillcenter.alipay.com/x?a=1", True),
    ("alipay", "https://dwbillcenter.alipay.com.evil.test/x", False),
    ("alipay", "http://dwbillcenter.alipay.com.evil.test/x", False),
    ("alipay", "http://dwbillcenter.alipay.com:8080/x", False),
    ("alipay", "https://evilalipay.com/x", False),
    ("wechat", "https://api.mch.weixin.qq.com/v3/billdownload/file?t=1", True),
    ("wechat", "https://127.0.0.1/x", False),
    ("stripe", "https://api.stripe.com/x", False),
    ("stripe", "https://api.partner.test/x", True),
    ("stripe", "https://api.partner.test:8443/x", False),
    ("stripe", "http://api.partner.test/x", False),
    ("stripe", "https://api.partner.test@evil.test/x", False),
    ("stripe", "https:///x", False),
    ("alipay", "https://127.0.0.1/.alipay.com", False),
])
def test_where_bills_may_be(kind: str, target: str, fits: bool) -> None:
    client = PartnerClient(kind, "https://api.partner.test")  # type: ignore[arg-type]
    if fits:
        assert str(client.address(target)) == target
    else:
        with pytest.raises(RelayError):
            client.address(target)


def test_a_bill_is_not_fetched_in_the_clear() -> None:
    """Alipay gives addresses of bills as http."""
    target = "http://dwbillcenter.alipay.com/a%2Fb?fileId=%2Ftrade%2F1.zip&token=a+b"
    address = PartnerClient("alipay", "https://openapi.alipay.com/gateway.do").address(target)
    assert str(address) == target.replace("http:", "https:")


async def test_a_conversation_without_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relayd.ops.partner.REQUESTS_MAX", 3)
    with pytest.raises(RelayError):
        await PartnerClient("stripe", desk.base).run(asking(*[get("/a")] * 9))
    assert len(desk.heard) == 3
