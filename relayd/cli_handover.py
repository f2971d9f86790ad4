"""The commands `relayd handover ...`: somebody takes the business over."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, option
from relayd.cli_requests import TO, hand, recipient
from relayd.cli_store import in_store, write
from relayd.control import handover
from relayd.control.handover import Announcement
from relayd.core.actor import SHELL
from relayd.core.handover import WINDOW_DAYS_DEFAULT
from relayd.core.timestamp import parse_future
from relayd.ops import clock
from relayd.store.db import Database

_HANDOVER: Final = option("handover", metavar="HANDOVER", help="the handover's id")


async def _announce(db: Database, arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    made = await handover.announce(db, SHELL, Announcement(
        arguments.recipient, arguments.contact, arguments.purpose_en, arguments.purpose_zh,
        parse_future(arguments.window, now_ms, "window"), arguments.new_purposes), now_ms)
    if arguments.json:
        output.document(handover.view(made))
    else:
        output.text(f"Handover {made.id} is announced. Owners may object until"
                    f" {output.moment(made.window_ends_ms)}.")
    return DONE


async def _show(db: Database, arguments: argparse.Namespace) -> int:
    found, accounts, unsent = await handover.going(db, SHELL, arguments.handover)
    output.document({**handover.view(found), "going": len(accounts), "mails_waiting": unsent})
    return DONE


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    found = await handover.listing(db, SHELL)
    if arguments.json:
        output.document([handover.view(each) for each in found])
    else:
        output.table(("ID", "STATE", "RECIPIENT", "ANNOUNCED", "WINDOW ENDS", "ACCOUNTS"), [
            (each.id, each.state, each.recipient, output.moment(each.announced_at_ms),
             output.moment(each.window_ends_ms), each.accounts) for each in found])
    return DONE


async def _cancel(db: Database, arguments: argparse.Namespace) -> int:
    ended = await handover.cancel(db, SHELL, arguments.handover, clock.unix_ms())
    output.text(f"Handover {ended.id} is called off.")
    return DONE


async def _bundle(db: Database, arguments: argparse.Namespace) -> int:
    unread: dict[str, list[str]] = {}
    pieces = handover.bundle(
        db, hand(arguments), arguments.handover, recipient(arguments), clock.unix_ms(), unread)
    await write(arguments.out, pieces)
    for account, documents in unread.items():
        output.text(f"Of {account} these can be read no more: {', '.join(documents)}.")
    output.text(f"{arguments.out} is written, for its recipient alone.")
    return DONE


COMMANDS: Final = (
    Command("handover announce", "Announce to everybody who takes over the business and its data.",
            in_store(_announce), prints_data=True, options=(
                option("--recipient", required=True, metavar="NAME", help="who takes over"),
                option("--contact", required=True, metavar="TEXT", help="how to reach them"),
                option("--purpose-en", required=True, metavar="TEXT", help="for what, in English"),
                option("--purpose-zh", required=True, metavar="TEXT", help="for what, in Chinese"),
                option("--window", default=f"{WINDOW_DAYS_DEFAULT}d", metavar="TIME",
                       help="until when owners may object (15 days at least; default: 30d)"),
                option("--new-purposes", action="store_true",
                       help="the recipient has purposes of its own, and must ask for consent"),
            )),
    Command("handover list", "List handovers.", in_store(_list), prints_data=True),
    Command("handover show", "Show one as JSON, with how many accounts would go along.",
            in_store(_show), (_HANDOVER,), prints_data=True),
    Command("handover cancel", "Cancel a handover.", in_store(_cancel), (_HANDOVER,)),
    Command("handover bundle", "Write the data of all who go along, for the recipient.",
            in_store(_bundle), (
                _HANDOVER,
                option("--reason", metavar="TEXT", required=True, help="why, for the audit log"),
                *TO,
            ), epilog="Whoever objected, left or is about to leave is not in it."),
)
