"""The commands `relayd tickets ...`."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_configured_store, in_store
from relayd.control import erasure, ticket
from relayd.core.actor import SHELL
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.store.db import Database

_TICKET: Final = option("ticket", metavar="TICKET", help="the ticket's id")


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    found = await ticket.queue(db, SHELL, closed=arguments.all)
    if arguments.json:
        shown = [ticket.view(each, now_ms) for each in found]
        output.document([{name: value for name, value in each.items() if name != "subject"}
                         for each in shown])
    else:
        output.table(("ID", "CLASS", "STATE", "OPENED", "DUE", "LATE"), [
            (each.id, each.ticket_class, each.state, output.moment(each.opened_at_ms),
             output.moment(each.due_at_ms), "late" if each.overdue(now_ms) else None)
            for each in found])
    return DONE


async def _show(db: Database, arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    story = await ticket.look(db, SHELL, arguments.ticket, now_ms)
    if arguments.json:
        output.document({**ticket.view(story.ticket, now_ms), "contact": story.ticket.contact,
                         "messages": [ticket.view_message(each) for each in story.messages]})
        return DONE
    output.text(f"{story.ticket.id} ({story.ticket.ticket_class}): {story.ticket.subject}")
    for each in story.messages:
        output.text(f"\n{each.author}, {output.moment(each.written_at_ms)}:\n{each.body}")
    return DONE


def _from_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError("What comes on stdin is not UTF-8.") from None


async def _answer(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    body = _from_stdin() if arguments.text == "-" else arguments.text
    if not body.strip():
        raise CommandError("Write the answer after --text, or give it on stdin.")
    link = erasure.linked(console_url(config.console, config.console_listen))
    answered = await ticket.answer(db, SHELL, arguments.ticket, body, clock.unix_ms(), link)
    output.text(f"Ticket {answered.id} is answered.")
    return DONE


async def _close(db: Database, arguments: argparse.Namespace) -> int:
    closed = await ticket.close(db, SHELL, arguments.ticket, clock.unix_ms())
    output.text(f"Ticket {closed.id} is closed.")
    return DONE


COMMANDS: Final = (
    Command("tickets list", "List tickets, the most urgent first, without their texts.",
            in_store(_list), prints_data=True, options=(
                option("--all", action="store_true", help="closed ones too"),)),
    Command("tickets show", "Read a ticket; its owner sees that somebody did.", in_store(_show),
            (_TICKET,), prints_data=True),
    Command("tickets answer", "Answer a ticket.", in_configured_store(_answer), (
        _TICKET, option("--text", metavar="TEXT", default="-",
                        help="the answer (default: what comes on stdin)"))),
    Command("tickets close", "Close a ticket; it is deleted when its term is over.",
            in_store(_close), (_TICKET,)),
)
