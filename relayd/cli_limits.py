"""The commands `relayd accounts limit` and `relayd keys limit`: show and change own limits."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, Option, option
from relayd.cli_store import in_store
from relayd.control import limit
from relayd.core.limit import BUDGETS, Limits
from relayd.ops import clock
from relayd.store.db import Database
from relayd.store.limit import Owner

_HELP: Final = {
    "requests_per_minute": "calls that may begin per minute",
    "tokens_per_minute": "tokens per minute, input and output",
    "concurrent": "calls at a time",
    "daily_budget": "what may be spent per day (UTC), for example 2.50",
    "monthly_budget": "what may be spent per month (UTC)",
}
_EPILOG: Final = (
    "Without options the limits are shown. A value of 0 is no limit, even where the configuration "
    "has one; 'default' takes an own limit away again. A change takes effect within a second. ")
_OF: Final[dict[Owner, str]] = {
    "account": "An account's own limits take the place of the configuration's.",
    "key": "A key's limits come on top of its account's: a call needs room in both.",
}


def _options(owner: Owner) -> tuple[Option, ...]:
    named = ("--account", "--email", "--id") if owner == "account" else ("--key", "--id")
    about = ("the account's e-mail address or id" if owner == "account"
             else "the key's id, or the key itself")
    return (
        option(owner, metavar=owner.upper(), nargs="?", default=argparse.SUPPRESS, help=about),
        option(*named, metavar=owner[0].upper(), dest=owner, default=None,
               help="the same, by name"),
        *(option(f"--{name.replace('_', '-')}", dest=name, metavar="N",
                 help=_HELP[name]) for name in Limits._fields),
    )


def _limit(owner: Owner) -> Callable[[Database, argparse.Namespace], Awaitable[int]]:
    async def run(db: Database, arguments: argparse.Namespace) -> int:
        ref = getattr(arguments, owner)
        if not ref:
            raise CommandError(f"Name the {owner}.")
        changes = {name: value for name in Limits._fields
                   if (value := getattr(arguments, name)) is not None}
        if changes:
            owner_id, limits = await limit.change(db, owner, ref, changes, clock.unix_ms())
        else:
            owner_id, limits = await limit.show(db, owner, ref)
        shown = limit.view(limits)
        if arguments.json:
            output.document({"id": owner_id, "limits": shown})
        else:
            output.table(("LIMIT", "OWN"), [
                (name.replace("_", " "), _words(name, limits.get(name), shown[name]))
                for name in Limits._fields])
        return DONE

    return run


def _words(name: str, value: int | None, shown: object) -> str:
    if value is None:
        return limit.DEFAULT
    if not value:
        return "none"
    return str(shown) if name in BUDGETS else str(value)


COMMANDS: Final = (
    Command("accounts limit", "Show or change an account's own limits.",
            in_store(_limit("account")), _options("account"), prints_data=True,
            epilog=_EPILOG + _OF["account"]),
    Command("keys limit", "Show or change an API key's own limits.",
            in_store(_limit("key")), _options("key"), prints_data=True,
            epilog=_EPILOG + _OF["key"]),
)
