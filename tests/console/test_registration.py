"""Signing up by the pages: unticked boxes, one answer, a link that does nothing by itself."""

from __future__ import annotations

import re

import pytest

from relayd.control import account
from relayd.core.consent import REQUIRED
from tests.console.conftest import Console
from tests.console.doors import EMAIL, FORM, ORDER, PASSWORD, USERNAME, OpenConsole, opened

__all__ = ["opened"]


async def test_O3_no_box_is_ticked_beforehand(opened: OpenConsole) -> None:
    shown = await (await opened.get("/sign-up")).text()
    boxes = re.findall(r'<input type="checkbox"[^>]*>', shown)
    assert len(boxes) >= len(REQUIRED) + 1 and not [box for box in boxes if "checked" in box]
    for item in REQUIRED:
        assert f'value="{item}"' in shown
    assert "/legal/privacy" in shown and "at least 14 years" in shown


async def test_U2_signing_up_to_the_first_page(opened: OpenConsole) -> None:
    answer = await opened.form("/sign-up", FORM)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-up/sent")
    link = await opened.mailed("verify_email")
    # a program that checks mails has looked
    shown = await (await opened.get(link)).text()
    assert (await account.find(opened.db, EMAIL)).state == "unverified"
    token = re.search(r'name="token" value="([^"]+)"', shown)
    assert token is not None
    assert 'name="password"' not in shown  # this browser has signed up
    answer = await opened.form("/verify", {"token": token[1]})
    assert answer.status == 303 and answer.headers["Location"] == "/start"
    assert answer.cookies["rd_new"]["max-age"] == "0"
    assert (await opened.get("/overview")).status == 200
    again = await opened.form("/verify", {"token": token[1]})
    assert again.status == 410


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_another_browser_is_asked_for_the_password(
    opened: OpenConsole, language: str
) -> None:
    """Whoever signed up with another person's address: its owner follows the link."""
    await opened.form("/sign-up", FORM)
    link = await opened.mailed("verify_email")
    token = link.partition("token=")[2]
    opened.http.cookie_jar.clear()
    shown = await (await opened.get(f"{link}&lang={language}")).text()
    assert 'name="password"' in shown and 'href="/sign-up"' in shown and token in shown
    for wrong in ({}, {"password": ""}, {"password": "a guess of the owner"}):
        answer = await opened.form("/verify", {"token": token, **wrong})
        shown = await answer.text()
        assert answer.status == 401 and 'role="alert"' in shown and token in shown
        assert "rd_sid" not in answer.cookies
    assert (await account.find(opened.db, EMAIL)).state == "unverified"
    # a mark of one's own is of no use for another registration
    await opened.form("/sign-up", {**FORM, "email": "x@example.org", "username": "x"})
    assert (await opened.form("/verify", {"token": token})).status == 401
    assert (await opened.form("/verify", {"token": token, "mark": "x"})).status == 422
    answer = await opened.form("/verify", {"token": token, "password": PASSWORD})
    assert (answer.status, answer.headers["Location"]) == (303, "/start")
    assert (await opened.get("/overview")).status == 200


async def test_the_same_for_programs(opened: OpenConsole) -> None:
    assert (await opened.api("POST", "/registrations", ORDER))[0] == 202
    token = await opened.token("verify_email")
    path = "/registrations/verify"
    assert (await opened.api("POST", path, {"token": token}))[0] == 422
    status, said = await opened.api("POST", path, {"token": token, "password": "a guess"})
    assert (status, said["error"]["code"]) == (401, "wrong_credentials")
    status, said = await opened.api("POST", path, {"token": "x", "password": PASSWORD})
    assert (status, said["error"]["code"]) == (410, "token_not_usable")
    status, said = await opened.api("POST", path, {"token": token, "password": PASSWORD})
    assert status == 201 and said["stage"] == "open"


@pytest.mark.parametrize("item", REQUIRED)
async def test_O3_without_consent_422(opened: OpenConsole, item: str) -> None:
    agreed = [each for each in REQUIRED if each != item]
    answer = await opened.form("/sign-up", {**FORM, "agreed": agreed})
    assert answer.status == 422
    shown = await answer.text()
    assert EMAIL in shown and PASSWORD not in shown
    status, said = await opened.api("POST", "/registrations", {**ORDER, "agreed": agreed})
    assert (status, said["error"]["code"]) == (422, "consent_required")
    assert await account.listing(opened.db) == []


async def test_M1_unchecked_age_422(opened: OpenConsole) -> None:
    without = {name: value for name, value in FORM.items() if name != "old_enough"}
    assert (await opened.form("/sign-up", without)).status == 422
    status, said = await opened.api("POST", "/registrations", {**ORDER, "old_enough": False})
    assert (status, said["error"]["code"]) == (422, "age_not_stated")


@pytest.mark.parametrize("extra", ["phone", "birth_date", "name", "role", "company"])
async def test_I1_nothing_else_is_accepted(opened: OpenConsole, extra: str) -> None:
    assert (await opened.form("/sign-up", {**FORM, extra: "x"})).status == 422
    status, _ = await opened.api("POST", "/registrations", {**ORDER, extra: "x"})
    assert status == 422 and await account.listing(opened.db) == []


async def test_T2_a_stranger_sees_processing_in_china_as_an_item(opened: OpenConsole) -> None:
    shown = await (await opened.get("/sign-up?lang=zh")).text()
    assert 'value="processing_in_china"' in shown and "在中国处理" in shown


async def test_whoever_signs_up_again_is_answered_the_same(opened: OpenConsole) -> None:
    await opened.signed_up()
    answers = []
    for email in (EMAIL, "other@example.org"):
        wish = {**FORM, "email": email, "username": "someone-else"}
        answer = await opened.form("/sign-up", wish)
        mark = answer.cookies["rd_new"]
        assert re.fullmatch("[0-9a-f]{64}", mark.value) and mark["httponly"]
        answers.append((answer.status, answer.headers["Location"], await answer.text()))
        status, said = await opened.api(
            "POST", "/registrations", {**ORDER, "email": email, "username": "a-third"})
        answers.append((status, said["next"], ""))
    assert answers[:2] == answers[2:]


async def test_what_is_wrong_is_said_in_the_form(opened: OpenConsole) -> None:
    await opened.signed_up()
    for wish, status in (({"email": "nobody"}, 400), ({"password": "short"}, 422),
                         ({"email": "b@example.org", "username": USERNAME}, 409)):
        answer = await opened.form("/sign-up", {**FORM, "email": "c@example.org", **wish})
        shown = await answer.text()
        assert answer.status == status and 'id="fault"' in shown and PASSWORD not in shown


async def test_closed_it_says_so(console: Console) -> None:
    shown = await (await console.get("/sign-up")).text()
    assert "Sign-up is closed" in shown
    assert (await console.post("/sign-up", FORM)).status == 403
    async with console.http.post(console.origin + "/api/v1/registrations", json=ORDER) as answer:
        assert answer.status == 403
    assert "sign-up" not in await (await console.get("/sign-in")).text()
