"""Snippets have this relay's address; the way to the first call notices it when it comes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from relayd.console.connect import relay_origin
from relayd.console.snippet import KEY_SHOWN, read
from relayd.control import key, usage
from relayd.ops.config import Config, ConsoleConfig, ServerConfig, TlsFiles
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person
from tests.console.test_key import TEXT, send
from tests.fakes.records import call_record

CONFIG = Config(providers={}, routes=())


@pytest.mark.parametrize(("listen", "changes", "url", "origin"), (
    ("127.0.0.1:8080", {}, "", "http://127.0.0.1:8080"),
    ("127.0.0.1:0", {}, "", "http://127.0.0.1:4242"),
    ("0.0.0.0:80", {"tls_terminated": True}, "", "https://localhost:80"),
    ("[::1]:443", {"tls": TlsFiles("c", "k")}, "", "https://[::1]:443"),
    ("unix:/run/relayd.sock", {}, "https://relay.example.org", "https://relay.example.org"),
    ("unix:/run/relayd.sock", {}, "", "http://127.0.0.1:4242"),
))
def test_the_address_is_the_configured_one_or_the_listeners(
    listen: str, changes: dict[str, object], url: str, origin: str
) -> None:
    server = ServerConfig(listen=(listen,), **changes)  # type: ignore[arg-type]
    config = replace(CONFIG, server=server, console=ConsoleConfig(relay_url=url))
    assert relay_origin(config, ("127.0.0.1", 4242)) == origin


async def test_every_client_has_its_page(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    for client in (*read(), None):
        query = f"?client={client.id}" if client else "?client=nonsense"
        text = await (await console.get(f"/connect{query}", cookies=who.cookies)).text()
        chosen = client or read()[0]
        assert f'<option value="{chosen.id}" selected>' in text and KEY_SHOWN in text
    answer = await console.get("/api/v1/connect", headers=who.bearer)
    assert await answer.json() == {
        "openai": "http://127.0.0.1:8080/v1", "anthropic": "http://127.0.0.1:8080",
        "gemini": "http://127.0.0.1:8080"}


async def test_from_no_key_to_the_first_call(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    text = await (await console.get("/start", cookies=who.cookies)).text()
    assert 'action="/start"' in text and "data-await" not in text
    text = await (await send(console, who, "/start", name="", client="anthropic-python")).text()
    [secret] = set(TEXT.findall(text))
    assert "from anthropic import" in text and f"api_key=&#34;{secret}&#34;" in text
    assert "data-await" in text
    [made] = await key.listing(console.db, who.account)
    assert made.name == "First key"
    text = await (await console.get("/start", cookies=who.cookies)).text()
    assert secret not in text and "data-await" in text
    answer = await console.get("/api/v1/first-call", cookies=who.cookies)
    assert await answer.json() == {"seen": False}

    await usage.post(console.db, [call_record(
        account=who.account, key=made.id, started_at_ms=NOW_MS - 5, model="model-x")])
    answer = await console.get("/api/v1/first-call", cookies=who.cookies)
    assert await answer.json() == {"seen": True}
    text = await (await console.get("/start", cookies=who.cookies)).text()
    assert "model-x" in text and "data-await" not in text
    assert re.search(r'<li aria-current="step">3\.', text)


async def test_a_name_that_is_none_is_told(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    answer = await send(console, who, "/start", name="x" * 101)
    assert answer.status == 400 and 'role="alert"' in await answer.text()
