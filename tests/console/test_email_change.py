"""A new address by the pages: both mailed links, in either order."""

from __future__ import annotations

import re

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
    assert (await opened.api("POST", "/email/new", {"token": tokens[EMAIL]}))[0] == 410
    assert (await opened.api("POST", "/email/old", {"token": tokens[EMAIL]}))[1] == {
        "changed": False}
    assert (await opened.api("POST", "/email/new", {"token": tokens[NEW]}))[1] == {
        "changed": True}


async def test_another_end_has_no_page(opened: OpenConsole) -> None:
    assert (await opened.get("/email/sideways")).status == 404
