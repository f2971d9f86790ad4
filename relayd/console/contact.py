"""Writing to the operator without an account, and where to report weaknesses (RFC 9116).

Law: the form asks for an address to answer to and for words, nothing else; it says that prompts do
not belong there. A network that sends a few within a quarter of an hour is slowed, and so are
those that name one address: nobody's mailbox is flooded.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import ticket
from relayd.control.ticket import Writing
from relayd.core.account import folded
from relayd.core.errors import RelayError
from relayd.core.ticket import WITHOUT_ACCOUNT, Ticket, TicketClass
from relayd.core.timestamp import DAY_MS, rfc3339, rfc3339_or_none
from relayd.ops.configfile_mail import console_url

_NUMBER: Final = re.compile(r"tick_[0-9A-Z]{26}", re.ASCII)
EXPIRES_MS: Final = 180 * DAY_MS
"""RFC 9116 section 2.5.5 recommends less than a year."""


class ContactForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody writes who is not signed in."""

    email: str = ""
    about: TicketClass = "question"
    subject: str = ""
    body: str = ""


class ContactTaken(msgspec.Struct, frozen=True):
    """The ticket's number, and by when it is answered where its class has a clock."""

    ticket: str
    due_at: str | None


class WhichTicket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of what was sent."""

    ticket: str = ""


def _writing(visit: Visit, form: ContactForm) -> Writing:
    return Writing(form.about, form.subject, form.body, contact=form.email,
                   language=visit.language)


async def _open(visit: Visit, form: ContactForm) -> Ticket:
    door, caller = visit.services.door, visit.caller
    network = door.prefix(caller, visit.now_ms).hex()
    for who in (network, folded(form.email.strip())):
        door.ask(f"contact {who}", caller, visit.now_ms)
    return await ticket.open_ticket(visit.db, _writing(visit, form), visit.now_ms)


async def show(visit: Visit) -> web.Response:
    """The form."""
    return _form(visit, ContactForm())


def _form(visit: Visit, form: ContactForm, error: RelayError | None = None) -> web.Response:
    return page(visit, "legal/contact.html", 200 if error is None else error.status, form=form,
                error=error, fault=error and _FIELDS.get(error.param or "", error.param),
                classes=[(each, visit.t(f"contact.about_{each}")) for each in WITHOUT_ACCOUNT],
                operator=visit.services.config().operator)


_FIELDS: Final = {"class": "about"}


async def send(visit: Visit) -> web.Response:
    """Opens a ticket, or shows the form again with what was wrong in it."""
    form = visit.take(ContactForm)
    try:
        made = await _open(visit, form)
    except RelayError as error:
        return _form(visit, form, error)
    return redirect(f"/contact/sent?ticket={made.id}")


async def sent(visit: Visit) -> web.Response:
    """Says that it arrived."""
    number = visit.ask(WhichTicket).ticket
    # a link may say anything: what is no number is not shown
    return page(visit, "legal/contact_sent.html",
                ticket=number if _NUMBER.fullmatch(number) else "")


async def api_send(visit: Visit) -> web.Response:
    """The same for a program."""
    made = await _open(visit, visit.take(ContactForm))
    due = rfc3339_or_none(made.due_at_ms)
    return reply(ContactTaken(made.id, due), 201)


async def security(visit: Visit) -> web.Response:
    """Where weaknesses are reported."""
    config = visit.services.config()
    origin = console_url(config.console, config.console_listen)
    contact = config.operator.contact_for("security")
    lines = [f"Contact: mailto:{contact}"] if contact else []
    lines += [
        f"Contact: {origin}/contact",
        f"Expires: {rfc3339(visit.now_ms + EXPIRES_MS)[:19]}Z",
        "Preferred-Languages: en, zh",
        f"Canonical: {origin}/.well-known/security.txt",
        f"Policy: {origin}/legal/privacy",
    ]
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")


ROUTES: Final = (
    Route("GET", "/contact", show, PUBLIC, "Write to the operator"),
    Route("POST", "/contact", send, PUBLIC, "Send it", takes=ContactForm),
    Route("GET", "/contact/sent", sent, PUBLIC, "It has arrived", asks=WhichTicket),
    Route("POST", "/api/v1/contact", api_send, PUBLIC, "Write to the operator",
          takes=ContactForm, gives=ContactTaken, status=201,
          errors=("invalid_value", "invalid_email", "sign_in_slowed")),
    Route("GET", "/.well-known/security.txt", security, PUBLIC, "Where to report weaknesses"),
)
