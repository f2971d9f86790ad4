"""The authenticator by the pages: QR code, first code, recovery codes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pyotp

from relayd.control import role
from relayd.core.actor import SHELL
from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened

__all__ = ["opened"]
MINUTE_MS = 60_000


async def test_U2_set_up_by_its_qr_code_and_turned_off(opened: OpenConsole) -> None:
    await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    assert "Set one up" in await (await opened.get("/settings/factors")).text()
    assert (await opened.get("/settings/totp")).headers["Location"] == "/settings/factors"
    assert (await opened.form("/settings/totp/begin")).headers["Location"] == "/settings/totp"
    shown = await (await opened.get("/settings/totp")).text()
    image = await opened.get("/settings/totp/qr.svg")
    assert image.content_type == "image/svg+xml"
    assert ElementTree.fromstring(await image.text()).tag.endswith("svg")
    assert image.headers["Cache-Control"] == "no-store"
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", shown)
    assert secret is not None
    assert (await opened.form("/settings/totp", {"code": "000000"})).status == 401
    code = pyotp.TOTP(secret[1]).at(opened.now_ms // 1000)
    answer = await opened.form("/settings/totp", {"code": code})
    codes = re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", await answer.text())
    assert len(set(codes)) == 10
    others = await (await opened.form("/settings/totp/codes")).text()
    assert codes[0] not in others
    assert (await opened.get("/settings/totp/qr.svg")).status == 404
    await opened.form("/settings/totp/remove")
    assert "Set one up" in await (await opened.get("/settings/factors")).text()


async def test_every_step_needs_a_fresh_proof(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    opened.now_ms += 16 * MINUTE_MS
    for path in ("/settings/totp", "/settings/totp/qr.svg"):
        assert (await opened.get(path)).headers["Location"].startswith("/prove")
    for path in ("begin", "codes", "remove"):
        answer = await opened.form(f"/settings/totp/{path}")
        assert answer.headers["Location"].startswith("/prove")
    for method, path in (("POST", "/totp"), ("POST", "/totp/codes"), ("DELETE", "/totp")):
        assert (await opened.api(method, path, token=token))[0] == 403


async def test_programs_turn_it_off(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    assert (await opened.api("DELETE", "/totp", token=token))[0] == 404
    _, said = await opened.api("POST", "/totp", token=token)
    code = pyotp.parse_uri(said["uri"]).at(opened.now_ms // 1000)
    assert (await opened.api("POST", "/totp/confirm", {"code": "1"}, token))[0] == 401
    assert (await opened.api("POST", "/totp/confirm", {"code": code}, token))[0] == 201
    assert (await opened.api("POST", "/totp", token=token))[0] == 409
    assert len((await opened.api("POST", "/totp/codes", token=token))[1]["codes"]) == 10
    _, factors = await opened.api("GET", "/factors", token=token)
    assert factors == {"totp": True, "recovery_codes": 10, "passkeys": 0, "two_factors": False}
    assert (await opened.api("DELETE", "/totp", token=token))[0] == 204


async def test_D3_an_operator_is_led_to_set_one_up(opened: OpenConsole) -> None:
    await opened.signed_up()
    await role.give(opened.db, SHELL, EMAIL, "support", opened.now_ms)
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    assert "second factor" in await (await opened.get("/settings/factors")).text()
    led = await opened.get("/operate/notices")
    assert led.headers.get("Location", "").startswith("/settings/factors") or led.status == 403
