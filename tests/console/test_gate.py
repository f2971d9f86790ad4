"""The gate: who is let in, and what is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, UnixConnector, web

from relayd.console import form
from relayd.console.listener import HEADERS, ConsoleListener
from relayd.console.page import reply
from relayd.console.route import HOLDER, PUBLIC, Route, operators
from relayd.console.visit import Visit
from relayd.core.actor import ROLES, Role
from relayd.ops.config import ConsoleConfig, ServerConfig
from relayd.store import role as store_role
from relayd.store.db import Database
from tests.console.conftest import Console, started
from tests.console.people import person


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What the test's routes take."""

    name: str
    count: int = 0
    agreed: bool = False
    tags: list[str] = []


async def _echo(visit: Visit) -> web.StreamResponse:
    return reply({"taken": visit.taken, "asked": visit.asked, "address": visit.address,
                  "who": visit.account if visit.who else None, "csrf": visit.csrf})


def route(method: Any, path: str, access: Any = PUBLIC, **more: Any) -> Route:
    return Route(method, path, _echo, access, "A test's", **more)


ROUTES = (
    route("GET", "/open"), route("GET", "/mine", HOLDER), route("POST", "/mine", HOLDER),
    route("GET", "/secret", HOLDER, proof=True), route("POST", "/form", takes=Wish),
    route("GET", "/query", asks=Wish), route("GET", "/api/v1/open"),
    route("GET", "/api/v1/mine", HOLDER), route("POST", "/api/v1/wish", takes=Wish),
    route("POST", "/api/v1/mine", HOLDER, takes=Wish), route("POST", "/api/v1/nothing"),
    route("POST", "/hook", from_anywhere=True),
    route("GET", "/api/v1/staff", operators("support", "finance")),
)


@pytest.fixture
async def site(db: Database) -> Any:
    made = await started(db, ROUTES)
    yield made
    await made.stop()


async def code(response: Any) -> str:
    return str((await response.json())["error"]["code"])


async def test_a_stranger_is_led_to_the_door_and_back(site: Console) -> None:
    assert (await site.get("/open")).status == 200
    led = await site.get("/mine?x=1")
    assert (led.status, led.headers["Location"]) == (303, "/sign-in?next=%2Fmine%3Fx%3D1")
    refused = await site.get("/api/v1/mine")
    assert refused.status == 401 and await code(refused) == "session_ended"


async def test_a_session_opens_its_own_pages(site: Console, db: Database) -> None:
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    found = await site.get("/mine")
    assert (await found.json())["who"] == ann.account
    bearer = {"Authorization": f"Bearer {ann.token}"}
    async with ClientSession() as other:
        got = await other.get(f"{site.origin}/api/v1/mine", headers=bearer)
        assert (await got.json())["who"] == ann.account
        # pages know no bearer
        page = await other.get(f"{site.origin}/mine", headers=bearer, allow_redirects=False)
        assert page.status == 303


async def test_a_session_ends_with_time(site: Console, db: Database) -> None:
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    site.now_ms += 25 * 3_600_000
    assert (await site.get("/mine")).status == 303


async def test_sensitive_pages_want_a_fresh_proof(site: Console, db: Database) -> None:
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    assert (await site.get("/secret")).status == 200
    site.now_ms += 16 * 60_000
    led = await site.get("/secret")
    assert led.headers["Location"].startswith("/prove?next=")


@pytest.mark.parametrize("headers, status", [
    ({}, 200), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Origin": "http://[::1"}, 403),
    ({"Origin": "http://\u2100.example"}, 403),
])
async def test_what_another_site_sends_is_refused(
    site: Console, headers: dict[str, str], status: int,
) -> None:
    assert (await site.post("/form", {"name": "x"}, headers=headers)).status == status


async def test_a_form_without_an_origin_is_refused(site: Console) -> None:
    response = await site.http.post(f"{site.origin}/form", data={"name": "x"})
    assert response.status == 403


async def test_a_form_carries_its_sessions_token(site: Console, db: Database) -> None:
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    csrf = (await (await site.get("/mine")).json())["csrf"]
    assert (await site.post("/mine", {"csrf": csrf})).status == 200
    for wrong in ({}, {"csrf": ""}, {"csrf": csrf[:-1] + "x"}):
        assert (await site.post("/mine", wrong)).status == 403


async def test_a_cookie_alone_changes_nothing_over_the_api(site: Console, db: Database) -> None:
    ann = await person(db, site.now_ms)
    site.http.cookie_jar.update_cookies({"rd_sid": ann.token})
    url = f"{site.origin}/api/v1/mine"
    assert (await site.http.post(url, json={"name": "x"})).status == 403
    assert (await site.http.post(url, json={"name": "x"},
                                 headers={"Origin": site.origin})).status == 200
    async with ClientSession() as program:
        done = await program.post(url, json={"name": "x"},
                                  headers={"Authorization": f"Bearer {ann.token}"})
        assert done.status == 200


async def test_partners_send_from_anywhere(site: Console) -> None:
    response = await site.http.post(f"{site.origin}/hook", data=b"{}")
    assert response.status == 200


async def test_fields_become_what_the_route_takes(site: Console) -> None:
    sent = [("name", "x"), ("count", "3"), ("agreed", "on"), ("tags", "a"), ("tags", "b")]
    found = await (await site.post("/form", sent)).json()
    assert found["taken"] == {"name": "x", "count": 3, "agreed": True, "tags": ["a", "b"]}
    asked = await (await site.get("/query?name=x&count=2&lang=zh")).json()
    assert asked["asked"] == {"name": "x", "count": 2, "agreed": False, "tags": []}


@pytest.mark.parametrize("fields", [
    {}, {"name": "x", "other": "y"}, {"name": "x", "count": "many"},
    [("name", "x"), ("name", "y")], {"name": "4111 1111 1111 1111"},
    {"name": "x", "tags": "4111111111111111"},
])
async def test_I1_I3_anything_else_is_refused(site: Console, fields: Any) -> None:
    assert (await site.post("/form", fields)).status == 422


@pytest.mark.parametrize("charset, status", [
    ("utf-8", 200), ("UTF-8", 200), ("punycode", 422), ("idna", 422), ("unicode_escape", 422),
    ("rot13", 422), ("utf-16", 422),
])
async def test_a_form_is_in_one_encoding(site: Console, charset: str, status: int) -> None:
    kind = f"application/x-www-form-urlencoded; charset={charset}"
    response = await site.post("/form", b"name=x", headers={"Content-Type": kind})
    assert response.status == status


@pytest.mark.parametrize("body, expected", [
    (b"", "invalid_json"), (b"[]", "invalid_json"), (b"{", "invalid_json"),
    (b'{"name": 3}', "invalid_form"), (b'{"name": "x", "canary": 1}', "invalid_form"),
    (b'{"name": "x", "tags": ["4111111111111111"]}', "card_number"),
    (b'{"name": "\\ud800"}', "invalid_json"), (b"[" * 20_000, "invalid_json"),
])
async def test_json_that_does_not_fit_is_refused(
    site: Console, body: bytes, expected: str,
) -> None:
    response = await site.http.post(f"{site.origin}/api/v1/wish", data=body)
    text = await response.text()
    assert await code(response) == expected and "canary" not in text


async def test_a_body_that_is_too_large_is_refused(site: Console) -> None:
    response = await site.http.post(f"{site.origin}/api/v1/wish", data=b" " * 70_000)
    assert await code(response) == "body_too_large"
    assert (await site.post("/form", {"name": "x" * 70_000})).status == 422


@pytest.mark.parametrize("path, status", [
    ("/form", b"408"), ("/api/v1/wish", b"408"), ("/api/v1/nothing", b"408"), ("/hook", b"200"),
])
async def test_a_body_that_does_not_become_whole_is_not_waited_for(
    site: Console, monkeypatch: pytest.MonkeyPatch, path: str, status: bytes,
) -> None:
    monkeypatch.setattr(form, "BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(*site.listener.address)
    host = site.origin.removeprefix("http://")
    kind = "application/x-www-form-urlencoded"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {site.origin}\r\n"
                 f"Content-Type: {kind}\r\nContent-Length: 9\r\n\r\nname=".encode())
    assert status in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_what_is_not_asked_for_is_refused(site: Console) -> None:
    response = await site.http.post(f"{site.origin}/api/v1/nothing", json={"name": "x"})
    assert await code(response) == "invalid_form"


@pytest.mark.parametrize("role", ROLES)
async def test_D3_operators_need_their_role_and_a_second_factor(
    site: Console, db: Database, role: Role,
) -> None:
    plain = await person(db, site.now_ms, role)
    strong = await person(db, site.now_ms, role, two_factors=True)
    wanted = role in ("support", "finance")
    for who, expected in ((plain, "factor_needed" if wanted else "role_needed"),
                          (strong, None if wanted else "role_needed")):
        response = await site.http.get(f"{site.origin}/api/v1/staff",
                                       headers={"Authorization": f"Bearer {who.token}"})
        assert (None if response.status == 200 else await code(response)) == expected


async def test_a_role_that_is_taken_is_gone_at_once(site: Console, db: Database) -> None:
    who = await person(db, site.now_ms, "support", two_factors=True)
    bearer = {"Authorization": f"Bearer {who.token}"}
    assert (await site.http.get(f"{site.origin}/api/v1/staff", headers=bearer)).status == 200
    async with db.writing() as transaction:
        await store_role.take(transaction, who.account, "support")
    assert (await site.http.get(f"{site.origin}/api/v1/staff", headers=bearer)).status == 403


async def test_every_answer_has_the_headers(site: Console) -> None:
    for path in ("/open", "/mine", "/nowhere", "/api/v1/nowhere", "/static/none.css"):
        response = await site.get(path)
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        assert response.headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in response.headers


async def test_K1_over_tls_the_sessions_cookie_is_bound_to_the_host(db: Database) -> None:
    site = await started(db, ROUTES, console=ConsoleConfig(url="https://console.example"))
    ann = await person(db, site.now_ms)
    async with ClientSession(cookies={"rd_sid": ann.token}) as plain:
        assert (await plain.get(f"{site.origin}/mine", allow_redirects=False)).status == 303
    cookie = {"Cookie": f"__Host-rd_sid={ann.token}"}
    async with ClientSession(headers=cookie) as bound:
        response = await bound.get(f"{site.origin}/mine", allow_redirects=False)
        assert response.status == 200
        assert response.headers["Strict-Transport-Security"].startswith("max-age=")
    await site.stop()


@pytest.mark.parametrize("url, host, origin, status", [
    ("https://console.example", "console.example", "https://console.example", 200),
    # whoever is on the way can be the same host in clear
    ("https://console.example", "console.example", "http://console.example", 403),
    ("https://console.example", "127.0.0.1:8080", "http://127.0.0.1:8080", 200),
    ("http://console.example", "console.example", "http://console.example", 200),
])
async def test_over_tls_a_page_of_the_same_host_in_clear_is_another_site(
    db: Database, url: str, host: str, origin: str, status: int,
) -> None:
    site = await started(db, ROUTES, console=ConsoleConfig(url=url))
    response = await site.post("/form", {"name": "x"}, headers={"Host": host, "Origin": origin})
    assert response.status == status
    await site.stop()


async def test_the_address_is_what_a_trusted_proxy_says(db: Database) -> None:
    for trusted, expected in (((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.7")):
        site = await started(db, ROUTES, server=ServerConfig(trusted_proxies=trusted))
        response = await site.get("/open", headers={"X-Forwarded-For": "192.0.2.9, 203.0.113.7"})
        assert (await response.json())["address"] == expected
        await site.stop()


async def test_what_a_client_claims_before_its_proxy_s_own_line_is_not_believed(
    db: Database
) -> None:
    """Some proxies leave the client's X-Forwarded-For as it is and add a second line."""
    site = await started(db, ROUTES, server=ServerConfig(trusted_proxies=("127.0.0.0/8",)))
    lines = [("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-For", "203.0.113.7")]
    response = await site.get("/open", headers=lines)
    assert (await response.json())["address"] == "203.0.113.7"
    await site.stop()


async def test_behind_a_unix_socket_people_have_addresses_too(
    db: Database, tmp_path: Path
) -> None:
    """Else they all were one network, and who is wrong a hundred times locked out everybody."""
    site = await started(db, ROUTES)
    listener = ConsoleListener(f"unix:{tmp_path}/console", site.services(), ROUTES)
    await listener.start()
    async with ClientSession(connector=UnixConnector(f"{tmp_path}/console")) as proxy:
        for given, address in (({"X-Forwarded-For": "192.0.2.9, 203.0.113.7"}, "203.0.113.7"),
                               ({}, "")):
            response = await proxy.get("http://console/open", headers=given)
            assert (await response.json())["address"] == address
    await listener.stop()
    await site.stop()
