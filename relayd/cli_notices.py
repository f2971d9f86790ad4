"""The commands `relayd notices ...`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, Option, option
from relayd.cli_store import in_store
from relayd.control import notice
from relayd.core.actor import SHELL
from relayd.core.notice import NOTICE_FIELDS, Notice, NoticeKind
from relayd.core.timestamp import parse_future
from relayd.ops import clock
from relayd.store.db import Database

_ENDS: Final = option("--ends", metavar="TIME", default="30d",
                      help="a date, or a span from now (default: 30d)")


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    found = await notice.listing(db)
    if arguments.json:
        output.document([notice.view(each) for each in found])
    else:
        output.table(("ID", "KIND", "FROM", "UNTIL", "MAILS"), [
            (each.id, each.kind, output.moment(each.starts_at_ms), output.moment(each.ends_at_ms),
             "queued" if each.mailed_at_ms else "being queued") for each in found])
    return DONE


async def _put_up(db: Database, arguments: argparse.Namespace, kind: NoticeKind) -> Notice:
    now_ms = clock.unix_ms()
    fields = {name: getattr(arguments, name) for name in NOTICE_FIELDS[kind]}
    ends_at_ms = parse_future(arguments.ends, now_ms, "ends")
    return await notice.put_up(db, SHELL, kind, fields, (now_ms, ends_at_ms), now_ms)


def _told(arguments: argparse.Namespace, made: Notice) -> int:
    if arguments.json:
        output.document(notice.view(made))
    else:
        output.text(f"Notice {made.id} stands on every page until"
                    f" {output.moment(made.ends_at_ms)}, and is mailed to everybody.")
    return DONE


async def _service(db: Database, arguments: argparse.Namespace) -> int:
    return _told(arguments, await _put_up(db, arguments, "service"))


async def _transfer(db: Database, arguments: argparse.Namespace) -> int:
    return _told(arguments, await _put_up(db, arguments, "transfer"))


async def _news(db: Database, arguments: argparse.Namespace) -> int:
    made = await _put_up(db, arguments, "marketing" if arguments.marketing else "product")
    if arguments.json:
        output.document(notice.view(made))
    else:
        output.text(f"Notice {made.id} is mailed to those who agreed to such mail.")
    return DONE


async def _end(db: Database, arguments: argparse.Namespace) -> int:
    await notice.take_down(db, SHELL, arguments.notice, clock.unix_ms())
    output.text(f"Notice {arguments.notice} is taken down.")
    return DONE


def _texts(kind: NoticeKind) -> tuple[Option, ...]:
    return tuple(option(f"--{name.replace('_', '-')}", dest=name, required=True, metavar="TEXT",
                        help=name.replace("_en", ", in English").replace("_zh", ", in Chinese"))
                 for name in sorted(NOTICE_FIELDS[kind]))


COMMANDS: Final = (
    Command("notices list", "List all notices.", in_store(_list), prints_data=True),
    Command("notices publish", "Publish a notice on every page and by mail.",
            in_store(_service), (*_texts("service"), _ENDS),
            prints_data=True),
    Command("notices transfer", "Announce who would take over the service and its data.",
            in_store(_transfer), (*_texts("transfer"), _ENDS),
            prints_data=True,
            epilog="Holders can object until the end, 15 days at least."),
    Command("notices news", "Mail product updates, or marketing, to those who agreed.",
            in_store(_news), (
                *_texts("product"), _ENDS,
                option("--marketing", action="store_true", help="it is marketing"),
            ), prints_data=True,
            epilog="Each mail has its own link to leave, which works without a sign-in."),
    Command("notices end", "Take a notice down.", in_store(_end), (
        option("notice", metavar="NOTICE", help="the notice's id"),
    )),
)
