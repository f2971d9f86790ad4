"""The profile by the pages: everything of it can be changed."""

from __future__ import annotations

from tests.console.doors import EMAIL, PASSWORD, USERNAME, OpenConsole, opened

__all__ = ["opened"]


async def test_Y1_every_field_can_be_changed(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    shown = await (await opened.get("/settings")).text()
    assert EMAIL in shown and f'value="{USERNAME}"' in shown
    answer = await opened.form("/settings", {
        "username": "other", "name": "Ann", "language": "zh", "country": "cn"})
    assert answer.headers["Location"] == "/settings"
    _, me = await opened.api("GET", "/account", token=token)
    assert (me["username"], me["name"], me["language"], me["country"]) == (
        "other", "Ann", "zh", "CN")
    assert "设置" in await (await opened.get("/settings")).text()
    await opened.form("/settings", {"username": "other", "language": "en"})
    _, me = await opened.api("GET", "/account", token=token)
    assert (me["name"], me["country"], me["language"]) == (None, None, "en")


async def test_the_same_for_programs(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    await opened.signed_up(email="b@example.org", username="taken")
    status, me = await opened.api("PATCH", "/account", {"name": "Ann"}, token)
    assert status == 200 and (me["name"], me["username"]) == ("Ann", USERNAME)
    status, me = await opened.api("PATCH", "/account", {"name": None, "country": "DE"}, token)
    assert (me["name"], me["country"]) == (None, "DE")
    for change, code in (({"username": "TAKEN"}, "username_taken"),
                         ({"username": "a@b"}, "invalid_value"),
                         ({"country": "Germany"}, "invalid_value"),
                         ({"language": "fr"}, "invalid_form"), ({"email": "x@y"}, "invalid_form")):
        status, said = await opened.api("PATCH", "/account", change, token)
        assert said["error"]["code"] == code, change


async def test_what_is_wrong_is_said_in_the_form(opened: OpenConsole) -> None:
    await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    answer = await opened.form("/settings", {"username": "other", "country": "Germany"})
    shown = await answer.text()
    assert answer.status == 400 and "Germany" in shown and 'id="fault"' in shown
