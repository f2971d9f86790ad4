"""An appeal: whoever was suspended or terminated writes to a person, by the link of their notice.

Law: it needs no sign-in; the link is the proof. What is written is a ticket like others.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.registration import TokenQuery
from relayd.console.route import PUBLIC, Route
from relayd.console.signed import Secret, again
from relayd.console.visit import Visit
from relayd.control import appeal
from relayd.core.errors import RelayError


class Appeal(Secret, frozen=True):
    """The token of the notice's link, and what its reader says."""

    token: str = ""
    text: str = ""


class AppealOrder(Secret, frozen=True):
    """The same for programs."""

    token: str
    text: str


class Appealed(msgspec.Struct, frozen=True):
    """The ticket that a person will read."""

    ticket: str


async def show(visit: Visit) -> web.Response:
    """The form."""
    return page(visit, "auth/appeal.html", token=visit.ask(TokenQuery).token, words="",
                error=None, fault=None)


async def send(visit: Visit) -> web.Response:
    """Hands it to a person."""
    form = visit.take(Appeal)
    try:
        await appeal.send(visit.db, form.token, form.text, visit.language, visit.now_ms)
    except RelayError as error:
        token = "" if error.code == "token_not_usable" else form.token
        return again(visit, "auth/appeal.html", error, token=token, words=form.text)
    return redirect("/appeal/sent")


async def give_sent(visit: Visit) -> web.Response:
    """The same for programs."""
    order = visit.take(AppealOrder)
    made = await appeal.send(visit.db, order.token, order.text, visit.language, visit.now_ms)
    return reply(Appealed(made.id), 201)


async def sent(visit: Visit) -> web.Response:
    """It has arrived."""
    return page(visit, "auth/sent.html", about="appeal")


ROUTES: Final = (
    Route("GET", "/appeal", show, PUBLIC, "The link of a notice.", asks=TokenQuery),
    Route("POST", "/appeal", send, PUBLIC, "Ask for another look.", takes=Appeal),
    Route("GET", "/appeal/sent", sent, PUBLIC, "It has arrived."),
    Route("POST", "/api/v1/appeals", give_sent, PUBLIC,
          "Ask for another look, by the token of a notice.", takes=AppealOrder, gives=Appealed,
          status=201, errors=("token_not_usable", "invalid_value", "tickets_open")),
)
