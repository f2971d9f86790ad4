"""The commands `relayd mail ...`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, option
from relayd.cli_store import in_configured_store, in_store
from relayd.control import mail
from relayd.control.mail_text import render
from relayd.core.actor import SHELL
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.store.db import Database

_MAIL: Final = option("mail", metavar="MAIL", help="the mail's id")


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    found = await mail.listing(db, waiting=not arguments.all)
    if arguments.json:
        output.document([mail.view(each) for each in found])
    else:
        output.table(("ID", "KIND", "ACCOUNT", "STATE", "OUTCOME", "ATTEMPTS", "QUEUED"), [
            (each.id, each.kind, each.account_id, each.state, each.outcome, each.attempts,
             output.moment(each.queued_at_ms)) for each in found])
    return DONE


async def _show(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    found = await mail.show(db, SHELL, arguments.mail, clock.unix_ms())
    origin = console_url(config.console, config.console_listen)
    link = None if found.unsubscribe is None else f"{origin}/unsubscribe?token={found.unsubscribe}"
    row = found.mail
    said = render(row.kind, row.language, found.letter.fields, config.operator, link)
    if arguments.json:
        output.document({**mail.view(row), "to": found.letter.recipient,
                         "subject": said.subject, "text": said.text,
                         "fields": found.letter.fields})
    else:
        output.text(f"To: {found.letter.recipient}")
        output.text(f"Subject: {said.subject}\n")
        output.text(said.text.rstrip("\n"))
    return DONE


async def _retry(db: Database, arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    found = await mail.retry(db, arguments.mail, now_ms)
    if arguments.json:
        output.document(mail.view(found))
    elif found.next_at_ms > now_ms:
        output.text(f"Mail {found.id} is being sent. Where that comes to nothing it is tried again"
                    f" by {output.moment(found.next_at_ms)}.")
    else:
        output.text(f"Mail {found.id} is sent as soon as the daemon looks.")
    return DONE


COMMANDS: Final = (
    Command("mail list", "List mails that were not sent.", in_store(_list), (
        option("--all", action="store_true", help="also those that were sent or withdrawn"),
    ), prints_data=True),
    Command("mail show", "Print a mail that was not sent yet.",
            in_configured_store(_show), (_MAIL,), prints_data=True,
            epilog="That it was read goes into the audit log, where its account's holder sees"
                   " it."),
    Command("mail retry", "Try to send a mail again now.", in_store(_retry), (_MAIL,),
            prints_data=True),
)
