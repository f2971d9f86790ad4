"""The commands `relayd operators ...`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_accounts import WHO, who
from relayd.cli_command import DONE, Command, option
from relayd.cli_store import in_store
from relayd.control import role
from relayd.core.actor import ROLES, SHELL
from relayd.ops import clock
from relayd.store.db import Database

_ROLE: Final = option("--role", choices=ROLES, required=True, help="which one")


async def _grant(db: Database, arguments: argparse.Namespace) -> int:
    given = await role.give(
        db, SHELL, who(arguments), role.check_role(arguments.role), clock.unix_ms())
    return _said(arguments, given, f"has the role {arguments.role} now, and signs in again",
                 f"has the role {arguments.role} already")


async def _revoke(db: Database, arguments: argparse.Namespace) -> int:
    taken = await role.take(
        db, SHELL, who(arguments), role.check_role(arguments.role), clock.unix_ms())
    return _said(arguments, taken, f"has the role {arguments.role} no more, and is signed out",
                 f"has not the role {arguments.role}")


def _said(arguments: argparse.Namespace, changed: bool, done: str, as_before: str) -> int:
    if arguments.json:
        output.document({"account": who(arguments), "role": arguments.role, "changed": changed})
    else:
        output.text(f"{who(arguments)} {done if changed else as_before}.")
    return DONE


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    found = await role.listing(db)
    if arguments.json:
        output.document([
            {"account": account.id, "email": account.email, "roles": list(roles)}
            for account, roles in found])
    else:
        output.table(("ACCOUNT", "E-MAIL", "ROLES"), [
            (account.id, account.email, ", ".join(roles)) for account, roles in found])
    return DONE


COMMANDS: Final = (
    Command("operators grant", "Give an account a role in the console.",
            in_store(_grant), (*WHO, _ROLE), prints_data=True,
            epilog="Operators' pages also need a second factor: its holder sets one up first."),
    Command("operators revoke", "Take a role from an account.",
            in_store(_revoke), (*WHO, _ROLE), prints_data=True),
    Command("operators list", "List the operators and their roles.",
            in_store(_list), prints_data=True),
)
