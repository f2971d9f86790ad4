"""The commands `relayd consents ...`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_accounts import WHO, who
from relayd.cli_command import DONE, Command, option
from relayd.cli_store import in_store
from relayd.control import account, consent
from relayd.core.actor import SHELL
from relayd.core.consent import ITEMS
from relayd.ops import clock
from relayd.store.db import Database

_ITEM: Final = option("--item", choices=tuple(ITEMS), required=True, help="which one")


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    found = await account.find(db, who(arguments))
    rows = [consent.view(each) for each in await consent.history(db, found.id)]
    if arguments.json:
        output.document(rows)
    else:
        names = ("at", "item", "act", "document", "version", "language", "channel")
        output.table([name.upper() for name in names],
                     [[row[name] for name in names] for row in rows])
    return DONE


async def _give(db: Database, arguments: argparse.Namespace) -> int:
    found = await account.find(db, who(arguments))
    await consent.agree(db, SHELL, found.id, [arguments.item], (found.language, "shell"),
                        clock.unix_ms())
    return _said(arguments, found.id, "agreed")


async def _withdraw(db: Database, arguments: argparse.Namespace) -> int:
    found = await account.find(db, who(arguments))
    await consent.withdraw(db, SHELL, found.id, arguments.item, "shell", clock.unix_ms())
    return _said(arguments, found.id, "withdrawn")


def _said(arguments: argparse.Namespace, account_id: str, what: str) -> int:
    if arguments.json:
        output.document({"account": account_id, "item": arguments.item, "act": what})
    else:
        output.text(f"Account {account_id}: {arguments.item} is {what}.")
    return DONE


COMMANDS: Final = (
    Command("consents list", "List what an account agreed to and withdrew.", in_store(_list), WHO,
            prints_data=True),
    Command("consents give", "Record a consent that the holder gave on paper or by mail.",
            in_store(_give), (*WHO, _ITEM), prints_data=True,
            epilog="The record says that it came through the shell."),
    Command("consents withdraw", "Record that the holder withdrew a consent.",
            in_store(_withdraw), (*WHO, _ITEM), prints_data=True),
)
