"""The commands `relayd orders ...`."""

from __future__ import annotations

import argparse
from typing import Final, get_args

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, option
from relayd.cli_store import in_store
from relayd.control import account, order
from relayd.control.order import RefundWish
from relayd.core.actor import SHELL
from relayd.core.currency import minor_text, parse_minor
from relayd.core.errors import RelayError
from relayd.core.order import Order, OrderState
from relayd.ops import clock
from relayd.store.db import Database
from relayd.store.order import OrderFilter


def _shown(found: Order) -> dict[str, object]:
    """Without the hosted page: whoever has its address can pay there."""
    shown = {name: value for name, value in order.view(found).items() if name != "page"}
    return {**shown, "account": found.account, "trade": found.trade}


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    who = None if arguments.account is None else (
        await account.find(db, arguments.account)).id
    states = (arguments.state,) if arguments.state else ()
    found = await order.listing(db, OrderFilter(who, states, before=arguments.before))
    if arguments.json:
        output.document([_shown(each) for each in found])
    else:
        output.table(("ORDER", "MADE", "ACCOUNT", "PARTNER", "AMOUNT", "REFUNDED", "STATE"), [
            (each.id, output.moment(each.created_at_ms), each.account, each.partner,
             f"{minor_text(each.amount_minor, each.currency)} {each.currency}",
             minor_text(each.refunded_minor, each.currency), each.state) for each in found])
    return DONE


async def _refund(db: Database, arguments: argparse.Namespace) -> int:
    found = await order.get(db, arguments.order)
    minor = parse_minor(arguments.amount, found.currency)
    if minor is None:
        raise RelayError("payment_amount", param="amount")
    made = await order.begin_refund(
        db, SHELL, RefundWish(found.id, minor, arguments.reason), clock.unix_ms())
    if arguments.json:
        output.document({"id": made.id, "order": made.order, "state": made.state,
                         "amount": minor_text(made.amount_minor, found.currency)})
    else:
        output.text(f"Refund {made.id}: the amount is off the balance, and the daemon asks"
                    " the partner for it within a minute.")
    return DONE


COMMANDS: Final = (
    Command("orders list", "List orders, the newest first.", in_store(_list), prints_data=True,
            options=(
                option("--account", metavar="E", help="those of this account: its address or id"),
                option("--state", choices=get_args(OrderState), help="those in this state"),
                option("--before", metavar="ORDER", help="those that are older than this one"),
            )),
    Command("orders refund", "Return money of an order by the way that it was paid.",
            in_store(_refund), prints_data=True, options=(
                option("order", metavar="ORDER", help="the order's id"),
                option("--amount", required=True, metavar="A",
                       help="how much, such as 12.50: at most what is left of the order, and of"
                            " the balance"),
                option("--reason", required=True, metavar="TEXT", help="why: for the audit log"),
            )),
)
