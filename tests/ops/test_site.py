"""A site: what it binds, and that it lets go."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from relayd.ops.site import Site


def app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    made = web.Application()
    made.router.add_get("/", hello)
    return made


async def test_it_says_the_port_that_it_was_given() -> None:
    site = Site("127.0.0.1:0", 0.1)
    await site.open(app())
    host, port = site.address
    async with aiohttp.ClientSession() as http:
        assert await (await http.get(f"http://{host}:{port}/")).text() == "hello"
    await site.close()
    await site.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    site = Site(f"unix:{tmp_path}/s", 0.1)
    await site.open(app())
    assert site.address == (f"{tmp_path}/s", 0)
    await site.close()


async def test_an_address_that_is_taken_leaves_nothing_open() -> None:
    first = Site("127.0.0.1:0", 0.1)
    await first.open(app())
    second = Site(f"127.0.0.1:{first.address[1]}", 0.1)
    with pytest.raises(OSError) as caught:
        await second.open(app())
    assert caught.value.strerror == f"127.0.0.1:{first.address[1]}: Address already in use"
    await first.close()
    await second.open(app())
    await second.close()
