"""Tickets of a holder, and the ticket of somebody without an account, by its mailed link.

Law: every form says that prompts do not belong here. A ticket of another is not found.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import ticket
from relayd.control.ticket import CONTACT_PATH, PATH, Story, Writing
from relayd.core.errors import RelayError
from relayd.core.ticket import CLASSES, TicketClass
from relayd.core.ticket import Ticket as CoreTicket

_EXAMPLE: Final = {"ticket": "tick_none"}
_ERRORS: Final = ("ticket_not_found", "ticket_state", "invalid_value")
_FIELDS: Final = {"class": "about"}


class TicketForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new ticket."""

    about: TicketClass = "question"
    subject: str = ""
    body: str = ""


class MessageForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One more message; with the mailed token, where there is no account."""

    body: str = ""
    token: str = ""


class ByMail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a mailed link holds."""

    token: str = ""


class TicketMessage(msgspec.Struct, frozen=True):
    """A message; its author is `holder` or `operator`."""

    author: str
    written_at: str
    body: str


class Ticket(msgspec.Struct, frozen=True, rename={"about": "class"}):
    """A ticket, with its messages where one was asked for."""

    id: str
    about: str
    state: str
    subject: str
    opened_at: str
    due_at: str | None
    closed_at: str | None
    messages: list[TicketMessage] = []


class Tickets(msgspec.Struct, frozen=True):
    """A holder's tickets, the open ones first."""

    tickets: list[Ticket]


def _shown(found: CoreTicket, now_ms: int, story: Story | None = None) -> Ticket:
    values = {name: value for name, value in ticket.view(found, now_ms).items()
              if name not in ("account", "language", "overdue")}
    messages = [] if story is None else [ticket.view_message(each) for each in story.messages]
    return msgspec.convert({**values, "messages": messages}, Ticket)


async def _all(visit: Visit) -> Tickets:
    found = await ticket.of_account(visit.db, visit.account)
    return Tickets([_shown(each, visit.now_ms) for each in found])


async def show_all(visit: Visit) -> web.Response:
    """The list, and the form of a new one."""
    return await _listed(visit, TicketForm())


async def _listed(
    visit: Visit, form: TicketForm, error: RelayError | None = None,
) -> web.Response:
    return page(visit, "privacy/tickets.html", 200 if error is None else error.status, form=form,
                error=error, fault=error and _FIELDS.get(error.param or "", error.param),
                found=(await _all(visit)).tickets,
                classes=[(each, visit.t(f"tickets.class_{each}")) for each in CLASSES])


def _writing(visit: Visit, form: TicketForm) -> Writing:
    return Writing(form.about, form.subject, form.body, account=visit.account,
                   language=visit.language)


async def send(visit: Visit) -> web.Response:
    """Opens a ticket, or shows what was wrong in it."""
    form = visit.take(TicketForm)
    try:
        made = await ticket.open_ticket(visit.db, _writing(visit, form), visit.now_ms)
    except RelayError as error:
        return await _listed(visit, form, error)
    return redirect(f"{PATH}/{made.id}")


async def show(visit: Visit) -> web.Response:
    """A ticket with its messages."""
    story = await ticket.own(visit.db, visit.account, visit.name("ticket"))
    return _page(visit, story, "")


def _page(visit: Visit, story: Story, token: str, error: RelayError | None = None) -> web.Response:
    return page(visit, "privacy/ticket.html", 200 if error is None else error.status,
                found=_shown(story.ticket, visit.now_ms, story), token=token, error=error,
                fault=error and error.param,
                written=visit.take(MessageForm).body if error else "")


async def write(visit: Visit) -> web.Response:
    """Writes one more message."""
    found = visit.name("ticket")
    try:
        await ticket.ask(
            visit.db, visit.account, found, visit.take(MessageForm).body, visit.now_ms)
    except RelayError as error:
        return _page(visit, await ticket.own(visit.db, visit.account, found), "", error)
    return redirect(f"{PATH}/{found}")


async def close(visit: Visit) -> web.Response:
    """Closes it."""
    await ticket.close(visit.db, visit.actor, visit.name("ticket"), visit.now_ms,
                       account=visit.account)
    return redirect(PATH)


async def show_mailed(visit: Visit) -> web.Response:
    """The ticket of a mailed link."""
    token = visit.ask(ByMail).token
    return _page(visit, await ticket.by_token(visit.db, token), token)


async def write_mailed(visit: Visit) -> web.Response:
    """Writes one more message in it."""
    form = visit.take(MessageForm)
    story = await ticket.by_token(visit.db, form.token)
    try:
        await ticket.ask(visit.db, None, story.ticket.id, form.body, visit.now_ms)
    except RelayError as error:
        return _page(visit, story, form.token, error)
    return redirect(f"{CONTACT_PATH}?token={quote(form.token)}")


async def api_all(visit: Visit) -> web.Response:
    """The list."""
    return reply(await _all(visit))


async def api_send(visit: Visit) -> web.Response:
    """Opens a ticket."""
    made = await ticket.open_ticket(
        visit.db, _writing(visit, visit.take(TicketForm)), visit.now_ms)
    return reply(_shown(made, visit.now_ms), 201)


async def api_show(visit: Visit) -> web.Response:
    """A ticket with its messages."""
    story = await ticket.own(visit.db, visit.account, visit.name("ticket"))
    return reply(_shown(story.ticket, visit.now_ms, story))


async def api_write(visit: Visit) -> web.Response:
    """Writes one more message."""
    story = await ticket.ask(visit.db, visit.account, visit.name("ticket"),
                             visit.take(MessageForm).body, visit.now_ms)
    return reply(_shown(story.ticket, visit.now_ms, story), 201)


async def api_close(visit: Visit) -> web.Response:
    """Closes a ticket."""
    await ticket.close(visit.db, visit.actor, visit.name("ticket"), visit.now_ms,
                       account=visit.account)
    return nothing()


ROUTES: Final = (
    Route("GET", PATH, show_all, HOLDER, "Tickets", closing=True),
    Route("POST", PATH, send, HOLDER, "Open a ticket", takes=TicketForm, closing=True),
    Route("GET", PATH + "/{ticket}", show, HOLDER, "A ticket", closing=True, example=_EXAMPLE),
    Route("POST", PATH + "/{ticket}", write, HOLDER, "Write in it", takes=MessageForm,
          closing=True, example=_EXAMPLE),
    Route("POST", PATH + "/{ticket}/close", close, HOLDER, "Close it", closing=True,
          example=_EXAMPLE),
    Route("GET", CONTACT_PATH, show_mailed, PUBLIC, "The ticket of a mailed link", asks=ByMail),
    Route("POST", CONTACT_PATH, write_mailed, PUBLIC, "Write in it", takes=MessageForm),
    Route("GET", "/api/v1/tickets", api_all, HOLDER, "One's tickets.", gives=Tickets,
          closing=True),
    Route("POST", "/api/v1/tickets", api_send, HOLDER, "Open a ticket.", takes=TicketForm,
          gives=Ticket, status=201, closing=True, errors=("invalid_value", "tickets_open")),
    Route("GET", "/api/v1/tickets/{ticket}", api_show, HOLDER, "A ticket with its messages.",
          gives=Ticket, closing=True, example=_EXAMPLE, errors=("ticket_not_found",)),
    Route("POST", "/api/v1/tickets/{ticket}", api_write, HOLDER, "Write in a ticket.",
          takes=MessageForm, gives=Ticket, status=201, closing=True, example=_EXAMPLE,
          errors=(*_ERRORS, "tickets_open")),
    Route("DELETE", "/api/v1/tickets/{ticket}", api_close, HOLDER, "Close a ticket.", status=204,
          closing=True, example=_EXAMPLE, errors=_ERRORS),
)
