"""Tickets, for operators: the queue without words, one with them, answers.

Law: who opens a ticket is in the audit log, and its holder sees it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import Route, operators
from relayd.console.ticket import TicketMessage
from relayd.console.visit import Visit
from relayd.control import ticket
from relayd.control.ticket import READERS, Story
from relayd.core.errors import RelayError
from relayd.core.ticket import Ticket
from relayd.core.timestamp import rfc3339, rfc3339_or_none

SEE: Final = operators(*READERS)
PATH: Final = "/operate/tickets"
_EXAMPLE: Final = {"ticket": "tick_none"}


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Closed ones too?"""

    closed: bool = False


class AnswerForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer to whoever wrote the ticket."""

    body: str = ""


class QueuedTicket(msgspec.Struct, frozen=True, rename={"about": "class"}):
    """A ticket of the queue: not what it says."""

    id: str
    account: str | None
    about: str
    state: str
    opened_at: str
    due_at: str | None
    overdue: bool


class Queue(msgspec.Struct, frozen=True):
    """The tickets, the most urgent first."""

    tickets: list[QueuedTicket]


class OpenedTicket(msgspec.Struct, frozen=True, rename={"about": "class"}):
    """A ticket with what it says. `contact`: where somebody without an account is reached."""

    id: str
    account: str | None
    about: str
    state: str
    subject: str
    contact: str | None
    messages: list[TicketMessage]


async def _queue(visit: Visit) -> Queue:
    found = await ticket.queue(visit.db, visit.actor, closed=visit.ask(Which).closed)
    return Queue([QueuedTicket(
        each.id, each.account, each.ticket_class, each.state, rfc3339(each.opened_at_ms),
        rfc3339_or_none(each.due_at_ms),
        each.overdue(visit.now_ms)) for each in found])


def _opened(story: Story) -> OpenedTicket:
    found: Ticket = story.ticket
    return OpenedTicket(
        found.id, found.account, found.ticket_class, found.state, found.subject, found.contact,
        [msgspec.convert(ticket.view_message(each), TicketMessage) for each in story.messages])


async def show(visit: Visit) -> web.Response:
    """The queue."""
    return page(visit, "operate/tickets.html", found=(await _queue(visit)).tickets,
                closed=visit.ask(Which).closed)


async def look(visit: Visit) -> web.Response:
    """A ticket."""
    return await _looked(visit, None)


async def _looked(visit: Visit, error: RelayError | None) -> web.Response:
    story = await ticket.look(visit.db, visit.actor, visit.name("ticket"), visit.now_ms)
    return page(visit, "operate/ticket.html", 200 if error is None else error.status,
                found=_opened(story), error=error, fault=error and error.param,
                written=visit.take(AnswerForm).body if error else "")


async def answer(visit: Visit) -> web.Response:
    """Answers it."""
    try:
        await _answer(visit)
    except RelayError as error:
        if error.code in ("ticket_not_found", "role_needed"):
            raise
        return await _looked(visit, error)
    return redirect(f"{PATH}/{visit.name('ticket')}")


async def _answer(visit: Visit) -> None:
    await ticket.answer(visit.db, visit.actor, visit.name("ticket"),
                        visit.take(AnswerForm).body, visit.now_ms, visit.services.door.link)


async def close(visit: Visit) -> web.Response:
    """Closes it."""
    await ticket.close(visit.db, visit.actor, visit.name("ticket"), visit.now_ms)
    return redirect(PATH)


async def api_queue(visit: Visit) -> web.Response:
    """The queue."""
    return reply(await _queue(visit))


async def api_look(visit: Visit) -> web.Response:
    """A ticket with what it says."""
    story = await ticket.look(visit.db, visit.actor, visit.name("ticket"), visit.now_ms)
    return reply(_opened(story))


async def api_answer(visit: Visit) -> web.Response:
    """Answers it."""
    await _answer(visit)
    return await api_look(visit)


ROUTES: Final = (
    Route("GET", PATH, show, SEE, "Tickets", asks=Which),
    Route("GET", PATH + "/{ticket}", look, SEE, "A ticket", example=_EXAMPLE),
    Route("POST", PATH + "/{ticket}", answer, SEE, "Answer it", takes=AnswerForm,
          example=_EXAMPLE),
    Route("POST", PATH + "/{ticket}/close", close, SEE, "Close it", example=_EXAMPLE),
    Route("GET", "/api/v1/operate/tickets", api_queue, SEE,
          "Tickets, the most urgent first; without what they say.", asks=Which, gives=Queue),
    Route("GET", "/api/v1/operate/tickets/{ticket}", api_look, SEE,
          "A ticket with what it says; its holder sees who looked.", gives=OpenedTicket,
          example=_EXAMPLE, errors=("ticket_not_found",)),
    Route("POST", "/api/v1/operate/tickets/{ticket}", api_answer, SEE, "Answer a ticket.",
          takes=AnswerForm, gives=OpenedTicket, example=_EXAMPLE,
          errors=("ticket_not_found", "ticket_state", "tickets_open", "invalid_value")),
)
