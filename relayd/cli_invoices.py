"""The commands `relayd invoices ...`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, option
from relayd.cli_store import in_configured_store, in_store
from relayd.control import account, closing, invoice
from relayd.control.invoice import seller_of
from relayd.core.actor import SHELL
from relayd.core.currency import minor_decimal
from relayd.core.invoice import Invoice, month
from relayd.core.money import decimal
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store.db import Database
from relayd.store.invoice import InvoiceFilter

HEADS: Final = ("NUMBER", "ID", "ACCOUNT", "KIND", "STATE", "ISSUED", "NET", "TAX", "TOTAL",
                "CURRENCY")


def _row(found: Invoice) -> tuple[object, ...]:
    return (found.number, found.id, found.account, found.kind, found.state,
            output.moment(found.issued_at_ms),
            *(minor_decimal(minor, found.places) for minor in found.taxed), found.currency)


async def _close(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    lacking = config.operator.lacking()
    if lacking:
        raise CommandError(f"[operator] lacks {', '.join(lacking)}: invoices name the seller.")
    closed = await closing.close(
        db, SHELL, seller_of(config), arguments.month, clock.unix_ms())
    if arguments.json:
        output.document({"month": closed.month, "accounts": closed.accounts,
                         "invoices": closed.invoices, "receipts": closed.receipts})
    else:
        output.text(f"{closed.month}: {closed.invoices} invoices for {closed.accounts} accounts, "
                    f"{closed.receipts} receipts.")
    return DONE


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    who = None if arguments.account is None else (
        await account.find(db, arguments.account)).id
    start_ms = month(arguments.month).start_ms if arguments.month else None
    found = await invoice.listing(db, InvoiceFilter(who, None, start_ms))
    gaps = await invoice.gaps(db)
    if arguments.json:
        output.document([invoice.view(each, lines=False) for each in found])
    else:
        output.table(HEADS, [_row(each) for each in found])
    if gaps:
        raise CommandError(f"Numbers are missing: {gaps}", FAULT)
    return DONE


async def _show(db: Database, arguments: argparse.Namespace) -> int:
    found = await invoice.look(db, SHELL, arguments.invoice, clock.unix_ms())
    if arguments.json:
        output.document(invoice.view(found))
        return DONE
    output.table(HEADS, [_row(found)])
    output.text("")
    output.table(("LINE", "ABOUT", "CALLS", "INPUT", "OUTPUT", "AMOUNT"), [
        (line.kind, line.reference or None, line.calls, line.input_tokens, line.output_tokens,
         ("-" if line.amount_nano < 0 else "") + decimal(abs(line.amount_nano), 2))
        for line in found.lines])
    return DONE


async def _void(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    made = await invoice.void(db, SHELL, arguments.invoice, arguments.reason,
                              config.retention.terms(), clock.unix_ms())
    if arguments.json:
        output.document(invoice.view(made))
    else:
        output.text(f"Taken back by {made.number} ({made.id}).")
    return DONE


async def _settle(db: Database, arguments: argparse.Namespace) -> int:
    made = await invoice.settle(db, SHELL, arguments.invoice, clock.unix_ms(),
                                paid=not arguments.never)
    output.text(f"{made.number} is {made.state}.")
    return DONE


_WHICH: Final = option("invoice", metavar="INVOICE", help="its number, or its id")
COMMANDS: Final = (
    Command("invoices close", "Issue what is missing for a month: invoices and receipts.",
            in_configured_store(_close), prints_data=True, options=(
                option("--month", required=True, metavar="M", help="for example 2026-10"),),
            epilog="Safe to run again: what was issued is not issued twice. Records that came "
                   "late get an invoice of their own."),
    Command("invoices list", "List the newest 500; exit code 1 where a number is missing.",
            in_store(_list), prints_data=True, options=(
                option("--account", metavar="A", help="an id or an e-mail address"),
                option("--month", metavar="M", help="for example 2026-10"),
            )),
    Command("invoices show", "Show one with its lines; this is in the audit log.",
            in_store(_show), prints_data=True, options=(_WHICH,)),
    Command("invoices void", "Take one back by a counter-invoice.", in_configured_store(_void),
            prints_data=True, options=(
                _WHICH, option("--reason", required=True, metavar="R",
                               help="for the audit log"))),
    Command("invoices settle", "Record that an open one was paid.", in_store(_settle), options=(
        _WHICH, option("--never", action="store_true", help="that it will never be paid"))),
)
