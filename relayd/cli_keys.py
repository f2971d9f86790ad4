"""The commands `relayd keys ...`."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_store
from relayd.control import account, key
from relayd.control.key import Issued, KeyWish
from relayd.core.timestamp import parse_future, rfc3339
from relayd.ops import clock
from relayd.store.db import Database

GRACE_SECONDS: Final = 86_400
REF: Final = (
    option("key", metavar="KEY", nargs="?", default=argparse.SUPPRESS,
           help="the key's id, or the key itself"),
    option("--key", "--id", metavar="K", dest="key", default=None, help="the same, by name"),
)


def _ref(arguments: argparse.Namespace) -> str:
    if not arguments.key:
        raise CommandError("Name the key by its id: 'relayd keys list' shows it.")
    return str(arguments.key)


def _seconds(text: str) -> int:
    with suppress(ValueError):
        if 0 <= (seconds := int(text)) <= 365 * 86_400:
            return seconds
    raise argparse.ArgumentTypeError("give 0 to 31536000 seconds")


def _models(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    if arguments.models is None:
        return None
    return tuple(name for text in arguments.models for name in text.split(",") if name.strip())


def _issued(issued: Issued) -> dict[str, object]:
    return {
        "id": issued.key.id, "account": issued.key.account, "name": issued.key.name,
        "key": issued.text, "created_at": rfc3339(issued.key.created_at_ms),
    }


def _show_issued(issued: Issued, sentence: str) -> None:
    output.text(f"{sentence} It is shown this once:\n\n    {issued.text}\n")


async def _create(db: Database, arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    expires = arguments.expires
    wish = KeyWish(
        name=arguments.name, app=arguments.app, models=_models(arguments),
        expires_at_ms=None if expires is None else parse_future(expires, now_ms, "expires"),
    )
    issued = await key.create(db, arguments.account, wish, now_ms)
    if arguments.json:
        output.document(_issued(issued))
    else:
        _show_issued(issued, f"API key {issued.key.id} created.")
    return DONE


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    now_ms = clock.unix_ms()
    found = key.each(db, arguments.account)
    if arguments.json:
        await output.items(key.view(each, now_ms) async for each in found)
        return DONE
    async for page in output.paged(found):
        accounts = await account.names(db, {each.account for each in page})
        output.table(
            ("ID", "ACCOUNT", "NAME", "KEY", "APP", "MODELS", "STATE", "CREATED", "EXPIRES"),
            [(each.id, accounts.get(each.account, each.account), each.name, each.hint, each.app,
              None if each.models is None else ",".join(each.models),
              key.state_shown(each, now_ms), output.moment(each.created_at_ms),
              output.moment(each.expires_at_ms)) for each in page])
    return DONE


async def _rotate(db: Database, arguments: argparse.Namespace) -> int:
    issued = await key.rotate(db, _ref(arguments), arguments.grace * 1000, clock.unix_ms())
    if arguments.json:
        output.document({**_issued(issued), "replaces": issued.key.replaces})
        return DONE
    left = f"works for {arguments.grace} seconds more" if arguments.grace else "is revoked"
    _show_issued(issued, f"API key {issued.key.id} replaces {issued.key.replaces}, which {left}.")
    return DONE


async def _revoke(db: Database, arguments: argparse.Namespace) -> int:
    revoked = await key.revoke(db, _ref(arguments), clock.unix_ms())
    if arguments.json:
        output.document(key.view(revoked, clock.unix_ms()))
    else:
        output.text(f"API key {revoked.id} is revoked.")
    return DONE


COMMANDS: Final = (
    Command("keys create", "Make an API key and show it, once.",
            in_store(_create), prints_data=True, options=(
                option("--account", "--email", required=True, metavar="E", dest="account",
                       help="the account's e-mail address or id"),
                option("--name", required=True, metavar="N", help="a name for people"),
                option("--app", metavar="LABEL", help="the application it is for; on its records"),
                option("--models", "--model", metavar="M", action="append",
                       help="the models it may use, separated by commas or given repeatedly; "
                            "'*' stands for any text (default: every model)"),
                option("--expires", metavar="T", help="when it ends: a date, a time, or 90d"),
            )),
    Command("keys list", "List API keys; the keys themselves cannot be shown.",
            in_store(_list), prints_data=True, options=(
                option("--account", "--email", metavar="E", dest="account",
                       help="only those of this account"),
            )),
    Command("keys rotate", "Replace a key by a new one with the same rights, and show it.",
            in_store(_rotate), prints_data=True, options=(
                *REF, option("--grace", metavar="S", type=_seconds, default=GRACE_SECONDS,
                             help="seconds for which the old key still works (default: one day; "
                                  "0 revokes it at once)"),
            )),
    Command("keys revoke", "End an API key within a second.", in_store(_revoke), REF,
            prints_data=True,
            epilog="A key that leaked may be given itself; the id is better, because a shell "
                   "keeps what is typed."),
)
