"""A new address by the pages: both mailed links, in either order."""

from __future__ import annotations

import re
from urllib.parse import quote

from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened
from tests.fakes.door import mails

__all__ = ["opened"]
NEW = "new.person@example.net"


async def test_Y1_a_new_address_needs_both_mailboxes(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    assert (await opened.form("/settings/email", {"email": "nobody"})).status == 400
    assert EMAIL in await (await opened.get("/settings/email")).text()
    answer = await opened.form("/settings/email", {"email": NEW})
    assert answer.headers["Location"] == "/settings/email/sent"
    links = {to: fields["link"].removeprefix(opened.origin)
             for kind, to, fields in await mails(opened.db, opened.now_ms)}
    # the new one's is for whoever is signed in to the account, and for nobody else
    signed_in = list(opened.http.cookie_jar)
    opened.http.cookie_jar.clear()
    answer = await opened.get(links[NEW])
    lead = answer.headers["Location"]
    assert answer.status == 303 and lead == f"/sign-in?next={quote(links[NEW], safe='')}"
    assert (await opened.form("/email/new", {
        "token": links[NEW].partition("token=")[2]})).status == 303
    opened.http.cookie_jar.update_cookies({each.key: each.value for each in signed_in})
    for to, says in ((NEW, "One of two"), (EMAIL, "The address is changed")):
        shown = await (await opened.get(links[to])).text()
        found = re.search(r'name="token" value="([^"]+)"', shown)
        assert found is not None
        path = links[to].partition("?")[0]
        assert says in await (await opened.form(path, {"token": found[1]})).text()
        assert (await opened.form(path, {"token": found[1]})).status == 410
    _, me = await opened.api("GET", "/account", token=token)
    assert me["email"] == NEW


async def test_the_same_for_programs(opened: OpenConsole) -> None:
    token = await opened.signed_up()
    status, said = await opened.api("POST", "/email", {"email": NEW}, token)
    assert (status, said) == (202, {"next": "mail"})
    tokens = {to: fields["link"].partition("token=")[2]
              for _, to, fields in await mails(opened.db, opened.now_ms)}
    assert (await opened.api("POST", "/email/sideways", {"token": tokens[NEW]}))[0] == 404
    assert (await opened.api("POST", "/email/new", {"token": tokens[EMAIL]}, token))[0] == 410
    assert (await opened.api("POST", "/email/old", {"token": tokens[EMAIL]}))[1] == {
        "changed": False}
    status, said = await opened.api("POST", "/email/new", {"token": tokens[NEW]})
    assert (status, said["error"]["code"]) == (401, "session_ended")
    stranger = await opened.signed_up(email="third@example.org", username="third")
    status, said = await opened.api("POST", "/email/new", {"token": tokens[NEW]}, stranger)
    assert (status, said["error"]["code"]) == (410, "token_not_usable")
    assert (await opened.api("POST", "/email/new", {"token": tokens[NEW]}, token))[1] == {
        "changed": True}


async def test_another_end_has_no_page(opened: OpenConsole) -> None:
    assert (await opened.get("/email/sideways")).status == 404
