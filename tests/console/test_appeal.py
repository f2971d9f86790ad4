"""An appeal by the link of a notice: no sign-in, one ticket, once."""

from __future__ import annotations

import re

from relayd.control import account, standing, ticket
from relayd.control.standing import Grounds
from relayd.core.actor import SHELL
from tests.console.doors import EMAIL, OpenConsole, opened

__all__ = ["opened"]


async def test_E1_whoever_is_terminated_can_appeal(opened: OpenConsole) -> None:
    await opened.signed_up()
    await standing.move(opened.db, SHELL, EMAIL, "terminate",
                        Grounds("abuse", opened.origin), opened.now_ms)
    link = await opened.mailed("account_terminated")
    assert link.startswith("/appeal?token=")
    shown = await (await opened.get(link)).text()
    found = re.search(r'name="token" value="([^"]+)"', shown)
    assert found is not None
    empty = await opened.form("/appeal", {"token": found[1]})
    assert empty.status == 400
    answer = await opened.form("/appeal", {"token": found[1], "text": "That was not me."})
    assert answer.headers["Location"] == "/appeal/sent"
    assert (await opened.get("/appeal/sent")).status == 200
    assert (await opened.form("/appeal", {"token": found[1], "text": "Again."})).status == 410
    me = await account.find(opened.db, EMAIL)
    [made] = await ticket.of_account(opened.db, me.id)
    assert made.ticket_class == "appeal"


async def test_the_same_for_programs(opened: OpenConsole) -> None:
    await opened.signed_up()
    await standing.move(opened.db, SHELL, EMAIL, "suspend",
                        Grounds("security", opened.origin), opened.now_ms)
    order = {"token": await opened.token("account_suspended"), "text": "Not me."}
    status, said = await opened.api("POST", "/appeals", order)
    assert status == 201 and said["ticket"]
    status, said = await opened.api("POST", "/appeals", order)
    assert (status, said["error"]["code"]) == (410, "token_not_usable")
