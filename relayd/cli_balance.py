"""The commands `relayd balance ...`: what an account may still spend, and what it may owe."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, option
from relayd.cli_accounts import WHO, who
from relayd.cli_store import in_store
from relayd.control import wallet
from relayd.core.actor import SHELL
from relayd.ops import clock
from relayd.store.db import Database


async def _show(db: Database, arguments: argparse.Namespace) -> int:
    found = [wallet.view(money) for money in await wallet.money(db, who(arguments))]
    if arguments.json:
        output.document(found)
    else:
        output.table(("CURRENCY", "BALANCE", "CREDIT"), [
            (each["currency"], each["balance"], each["credit"]) for each in found])
    return DONE


async def _credit(db: Database, arguments: argparse.Namespace) -> int:
    await wallet.set_credit(db, who(arguments), arguments.currency, arguments.amount,
                            clock.unix_ms(), SHELL)
    return await _show(db, arguments)


COMMANDS: Final = (
    Command("balance show", "Show what an account can still spend, by currency.",
            in_store(_show), WHO, prints_data=True,
            epilog="What calls cost counts as soon as they are stored."),
    Command("balance credit", "Set how far an account may go below zero.",
            in_store(_credit), prints_data=True, options=(
                *WHO,
                option("--amount", required=True, metavar="A", help="for example 100 or 2.50"),
                option("--currency", default="USD", metavar="C", help="three capital letters"),
            )),
)
