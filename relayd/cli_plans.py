"""The commands `relayd plans ...`, `relayd codes ...` and `relayd balance grant`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_accounts import WHO, who
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_configured_store, in_store
from relayd.control import grant, subscription
from relayd.control.grant import Credit
from relayd.core.actor import SHELL
from relayd.core.money import decimal
from relayd.core.plan import MARKUP_ONE, Plan
from relayd.core.timestamp import parse_future
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store.db import Database


def _shown(plan: Plan) -> dict[str, object]:
    return {
        "name": plan.name, "version": plan.version, "markup": decimal(plan.markup * 1000, 2),
        "period": plan.period, "fee": decimal(plan.fee_nano, 2),
        "allowance": decimal(plan.allowance_nano, 2), "currency": plan.currency,
        "offered": plan.offered}


async def _list(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    found = [_shown(plan) for plan in config.plans.values()]
    if arguments.json:
        output.document(found)
    else:
        output.table([name.upper() for name in _shown(Plan(""))], [
            tuple(plan.values()) for plan in found])
    return DONE


async def _assign(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    name = None if arguments.plan == "default" else arguments.plan
    await subscription.assign(db, who(arguments), name, config.plans, clock.unix_ms(), SHELL)
    output.text(f"Its calls cost what plan {arguments.plan} says, from within a second on.")
    return DONE


def _credit(arguments: argparse.Namespace) -> Credit:
    until = None if arguments.until is None else parse_future(
        arguments.until, clock.unix_ms(), "until")
    return Credit(grant.read_amount(arguments.amount, arguments.currency), arguments.currency,
                  until)


async def _grant(db: Database, arguments: argparse.Namespace) -> int:
    made = await grant.give_to(db, who(arguments), _credit(arguments), arguments.reason,
                               clock.unix_ms(), SHELL)
    if arguments.json:
        output.document(grant.view(made))
    else:
        output.text(f"Given: {decimal(made.amount_nano, 2)} {made.currency} ({made.id}).")
    return DONE


async def _code(db: Database, arguments: argparse.Namespace) -> int:
    made = await grant.make_code(db, _credit(arguments), arguments.uses, arguments.days,
                                 clock.unix_ms(), SHELL)
    if arguments.json:
        output.document({**grant.code_view(made.code), "code": made.text})
    else:
        output.text(f"{made.text}\nThe code is shown this once.")
    return DONE


async def _codes(db: Database, arguments: argparse.Namespace) -> int:
    found = [grant.code_view(code) for code in await grant.codes(db)]
    if arguments.json:
        output.document(found)
    else:
        output.table(("ID", "AMOUNT", "CURRENCY", "USES LEFT", "UNTIL", "LASTS (DAYS)"), [
            (code["id"], code["amount"], code["currency"], code["uses_left"],
             code["expires_at"], code["grant_days"]) for code in found])
    return DONE


async def _end_code(db: Database, arguments: argparse.Namespace) -> int:
    if not arguments.code:
        raise CommandError("Name the code by its id.")
    await grant.end_code(db, arguments.code, clock.unix_ms(), SHELL)
    output.text("Nobody can redeem it any more.")
    return DONE


_AMOUNT: Final = (
    option("--amount", required=True, metavar="A", help="for example 5 or 2.50"),
    option("--currency", default="USD", metavar="C", help="three capital letters"),
)
COMMANDS: Final = (
    Command("plans list", "List the plans of the configuration.", in_configured_store(_list),
            prints_data=True,
            epilog=f"A markup is a factor on the price file's prices; {MARKUP_ONE // 10**6}.00 "
                   "leaves them as they are."),
    Command("plans assign", "Give an account a plan without a fee.",
            in_configured_store(_assign), options=(
                *WHO, option("--plan", required=True, metavar="P",
                             help="the plan's name; 'default' takes an own one away"),
            )),
    Command("balance grant", "Give an account credit, which is spent before money.",
            in_store(_grant), prints_data=True, options=(
                *WHO, *_AMOUNT,
                option("--until", metavar="T", help="when what is left of it expires"),
                option("--reason", required=True, metavar="R", help="for the audit log"),
            )),
    Command("codes create", "Make a code that gives credit, once per account.",
            in_store(_code), prints_data=True, options=(
                *_AMOUNT,
                option("--uses", type=int, default=1, metavar="N",
                       help="accounts that can redeem it"),
                option("--until", metavar="T", help="until when it can be redeemed"),
                option("--days", type=int, metavar="N", help="how long the credit then lasts"),
            )),
    Command("codes list", "List codes, without their texts.", in_store(_codes), prints_data=True),
    Command("codes end", "End a code: nobody can redeem it then.", in_store(_end_code), options=(
        option("code", metavar="CODE", nargs="?", help="its id"),)),
)
