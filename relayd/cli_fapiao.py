"""The commands `relayd fapiao ...`: the desk of the bookkeeper."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_accounts import WHO, who
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_configured_store, in_store
from relayd.control import enterprise, fapiao, fapiao_file
from relayd.control.fapiao_file import Item
from relayd.control.invoice import seller_of
from relayd.core.actor import SHELL
from relayd.core.currency import parse_minor
from relayd.core.errors import RelayError
from relayd.core.fapiao import CURRENCY, FAPIAO_STATES, FILE_BYTES_MAX, REASONS, RED_REASONS
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store.db import Database
from relayd.store.fapiao import FapiaoFilter


def item(config: Config) -> Item:
    """What is sold, as the configuration names it."""
    return Item(config.invoices.item, config.invoices.category)


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    states = (arguments.state,) if arguments.state else ()
    found = await fapiao.listing(db, FapiaoFilter(states=states))
    if arguments.json:
        # who buys is told by `show` alone, with an event in the log
        output.document([{name: value for name, value in fapiao.view(each).items()
                          if name != "buyer"} for each in found])
        return DONE
    output.table(("ID", "ACCOUNT", "KIND", "STATE", "AMOUNT", "NUMBER", "SINCE"), [
        (each.id, each.account, each.kind, each.state, fapiao.amount_text(each.amount_minor),
         each.number, output.moment(each.created_at_ms)) for each in found])
    for order, account, more in await fapiao.too_much(db):
        output.text(f"{order} of {account}: a red letter over {fapiao.amount_text(more)} is due.")
    return DONE


async def _show(db: Database, arguments: argparse.Namespace) -> int:
    output.document(fapiao.view(await fapiao.look(
        db, SHELL, arguments.fapiao, clock.unix_ms())))
    return DONE


async def _take(db: Database, arguments: argparse.Namespace) -> int:
    made = await fapiao.take(db, SHELL, arguments.fapiao, clock.unix_ms())
    output.text(f"{made.id} is {made.state}.")
    return DONE


async def _reject(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    made = await fapiao.reject(
        db, SHELL, arguments.fapiao, arguments.reason, seller_of(config), clock.unix_ms())
    output.text(f"{made.id} is {made.state}.")
    return DONE


async def _export(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    rows = await fapiao_file.export(db, SHELL, item(config), clock.unix_ms())
    if arguments.json:
        output.document(rows)
    else:
        output.raw(fapiao_file.as_csv(rows))
    return DONE


async def _xml(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    found = await fapiao.look(db, SHELL, arguments.fapiao, clock.unix_ms())
    output.raw(await fapiao_file.as_xml(db, found, seller_of(config), item(config)) + b"\n")
    return DONE


async def _import(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    try:
        with Path(arguments.file).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"{arguments.file} cannot be read: {error.strerror}") from None
    made = await fapiao_file.take_in(
        db, SHELL, arguments.fapiao, content, seller_of(config), clock.unix_ms())
    output.text(f"{made.id} is {made.state}: {made.number} of {made.issued_on}.")
    return DONE


async def _reverse(db: Database, arguments: argparse.Namespace) -> int:
    amount = parse_minor(arguments.amount, CURRENCY)
    if amount is None:
        raise RelayError("fapiao_amount", param="amount")
    made = await fapiao.reverse(
        db, SHELL, arguments.fapiao, amount, arguments.reason, clock.unix_ms())
    output.text(f"{made.id} is {made.state}.")
    return DONE


async def _confirm(db: Database, arguments: argparse.Namespace) -> int:
    made = await fapiao.confirm(
        db, SHELL, arguments.fapiao, arguments.confirmation, clock.unix_ms())
    output.text(f"{made.id} is {made.state}.")
    return DONE


async def _enterprise(db: Database, arguments: argparse.Namespace) -> int:
    change = enterprise.unmark if arguments.off else enterprise.mark
    account = await change(db, SHELL, who(arguments), clock.unix_ms())
    output.text(f"{account} is {'no company' if arguments.off else 'a company'}'s account.")
    return DONE


_WHICH: Final = option("fapiao", metavar="FAPIAO", help="its id")
COMMANDS: Final = (
    Command("fapiao list", "List applications and red letters, and red letters that are due.",
            in_store(_list), prints_data=True, options=(
                option("--state", choices=FAPIAO_STATES, metavar="S", help="in this state"),)),
    Command("fapiao show", "Show one as JSON, with its buyer; this is in the audit log.",
            in_store(_show), prints_data=True, options=(_WHICH,)),
    Command("fapiao take", "Take up an application.", in_store(_take), options=(_WHICH,)),
    Command("fapiao reject", "Reject an application, or give up a red letter.",
            in_configured_store(_reject), options=(
                _WHICH, option("--reason", default="", choices=("", *REASONS), metavar="R",
                               help=", ".join(REASONS)))),
    Command("fapiao export", "Print what waits for the bookkeeper, as CSV.",
            in_configured_store(_export), prints_data=True),
    Command("fapiao xml", "Print one as XML for its issuer to fill in.", in_configured_store(_xml),
            options=(_WHICH,)),
    Command("fapiao import", "Import an issued file (XML, OFD or PDF) and verify every field.",
            in_configured_store(_import), options=(
                _WHICH, option("file", metavar="FILE", help="the file as it was issued"))),
    Command("fapiao reverse", "Request a red letter for an issued one, or a part of it.",
            in_store(_reverse), options=(
                _WHICH, option("--amount", required=True, metavar="A", help="for example 12.50"),
                option("--reason", required=True, choices=tuple(RED_REASONS), metavar="R",
                       help="01 wrong, 02 returned, 03 ended, 04 discount"))),
    Command("fapiao confirm", "Record the tax platform's confirmation of a red letter.",
            in_store(_confirm),
            options=(_WHICH, option("confirmation", metavar="NUMBER",
                                    help="the confirmation's 20 digits"))),
    Command("fapiao enterprise", "Mark an account as a company's.", in_store(_enterprise),
            options=(*WHO, option("--off", action="store_true", help="it is not a company's"))),
)
