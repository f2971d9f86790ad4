"""The first page: the overview for who is signed in, a few words for everybody else."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from relayd.console.page import page, redirect
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit


async def show(visit: Visit) -> web.Response:
    """Leads on, or says what this is."""
    if visit.who is not None and visit.who.session.stage == "open":
        return redirect("/overview")
    is_open = visit.services.config().console.registration == "open"
    return page(visit, "use/front.html", is_open=is_open)


ROUTES: Final = (
    Route("GET", "/", show, PUBLIC, "The first page."),
)
