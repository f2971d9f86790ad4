"""The commands `relayd abuse ...`: what rules found, and a person's decision on it."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, option
from relayd.cli_store import in_configured_store
from relayd.control import abuse
from relayd.core.abuse import Verdict
from relayd.core.actor import SHELL
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.store.db import Database


async def _list(db: Database, arguments: argparse.Namespace, _: Config) -> int:
    found = await abuse.listing(db, state=None if arguments.all else "open",
                                who=arguments.account)
    if arguments.json:
        output.document([abuse.view(each) for each in found])
    else:
        output.table(("ID", "TIME", "ACCOUNT", "RULE", "FIGURE", "BOUND", "SUSPENDED", "STATE"), [
            (each.id, output.moment(each.at_ms), each.account, each.rule, each.figure, each.bound,
             "yes" if each.suspended else None, each.state) for each in found])
    return DONE


async def _decide(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    origin = console_url(config.console, config.console_listen)
    verdict: Verdict = "lift" if arguments.lift else "confirm"
    found = await abuse.decide(db, SHELL, arguments.finding, verdict, (arguments.reason, origin),
                               clock.unix_ms())
    if arguments.json:
        output.document(abuse.view(found))
    else:
        output.text(f"Finding {found.id} about {found.account} is {found.state}.")
    return DONE


COMMANDS: Final = (
    Command("abuse list", "Show findings of the abuse rules that are not decided yet.",
            in_configured_store(_list), prints_data=True, options=(
                option("--all", action="store_true", help="decided ones too"),
                option("--account", metavar="E", help="findings about this account"),
            )),
    Command("abuse decide", "Lift a finding, or confirm it.", in_configured_store(_decide),
            prints_data=True, options=(
                option("finding", metavar="ID", help="the finding's id"),
                option("--lift", action="store_true",
                       help="it was wrong: the account is resumed (default: it is confirmed)"),
                option("--reason", metavar="TEXT", required=True,
                       help="why, for the audit log"),
            ), epilog="A holder's appeal arrives as a ticket."),
)
