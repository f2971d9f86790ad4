"""The commands `relayd accounts ...`."""

from __future__ import annotations

import argparse
from typing import Final

import msgspec

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import ConfiguredWork, in_configured_store, in_store, write
from relayd.control import account, erasure, export, mail_token, sign_in, standing
from relayd.control.standing import Move
from relayd.core.actor import SHELL
from relayd.core.erasure import Cause
from relayd.core.errors import RelayError
from relayd.core.standing import REASONS, check_reason
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.store.db import Database
from relayd.store.signing import open_signer

WHO: Final = (
    option("account", metavar="ACCOUNT", nargs="?", default=argparse.SUPPRESS,
           help="the account's e-mail address or id"),
    option("--account", "--email", "--id", metavar="E", dest="account", default=None,
           help="the same, by name"),
)
WHY: Final = (
    option("--reason", choices=REASONS, default="other",
           help="what its holder is told: one of a closed list (default: other)"),
    option("--note", metavar="TEXT", help="more about it, for the audit log alone"),
)
_DID: Final[dict[Move, str]] = {
    "suspend": "suspended", "resume": "active again", "terminate": "terminated"}


def who(arguments: argparse.Namespace) -> str:
    """The account that the command names."""
    if not arguments.account:
        raise CommandError("Name the account by its e-mail address or id.")
    return str(arguments.account)


async def _create(db: Database, arguments: argparse.Namespace) -> int:
    made = await account.create(db, arguments.email, arguments.name, clock.unix_ms())
    if arguments.json:
        shown = account.view(made)
        output.document({name: shown[name] for name in ("id", "email", "name", "created_at")})
    else:
        output.text(f"Account {made.id} created for {made.email}.")
        output.text(f"Next: relayd keys create --account {made.email} --name NAME")
    return DONE


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    await account.note_listing(db, SHELL, arguments.reason, clock.unix_ms())
    found = account.each(db)
    if arguments.json:
        await output.items(account.view(each) async for each in found)
        return DONE
    async for page in output.paged(found):
        output.table(("ID", "E-MAIL", "NAME", "STATE", "CREATED"), [
            (each.id, each.email, each.name, each.state, output.moment(each.created_at_ms))
            for each in page])
    return DONE


def _move(step: Move) -> ConfiguredWork:
    async def run(db: Database, arguments: argparse.Namespace, config: Config) -> int:
        reason = check_reason(getattr(arguments, "reason", "other"))
        grounds = standing.Grounds(
            reason, console_url(config.console, config.console_listen),
            getattr(arguments, "note", None))
        moved = await standing.move(
            db, SHELL, who(arguments), step, grounds, clock.unix_ms())
        if arguments.json:
            output.document(account.view(moved))
        else:
            output.text(f"Account {moved.id} is {_DID[step]}.")
        return DONE

    return run


async def _link_to_sign_in(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    token = await sign_in.link(db, who(arguments), clock.unix_ms())
    link = f"{console_url(config.console, config.console_listen)}/sign-in/link?token={token}"
    if arguments.json:
        output.document({"link": link, "minutes": int(mail_token.minutes("sign_in"))})
    else:
        output.text(link)
        output.text(f"It signs in once, within {mail_token.minutes('sign_in')} minutes.")
    return DONE


async def _erase(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    found = await account.find(db, who(arguments))
    if not arguments.yes and not output.agreed(f"Erase {found.email or found.id} for good?"):
        raise CommandError("Nothing was erased.")
    if arguments.minor or not arguments.cooling_off:
        return await _erase_now(db, arguments, config, found.id)
    asked = await erasure.ask(
        db, SHELL, found.id, erasure.Wish("operator", reason=arguments.reason), clock.unix_ms(),
        _link(config))
    if arguments.json:
        shown = account.view(await account.find(db, found.id))
        output.document({**shown, "erasure": erasure.view(asked)})
    else:
        output.text(f"Account {asked.account} is closed, and will be erased at"
                    f" {output.moment(asked.due_at_ms)}.")
        output.text("Its owner can call that off until then, by a mailed link or by signing in.")
    return DONE


async def _erase_now(
    db: Database, arguments: argparse.Namespace, config: Config, account_id: str,
) -> int:
    means = erasure.Means(open_signer(db.directory), config.retention.terms(), _link(config))
    cause: Cause = "minor" if arguments.minor else "operator"
    signed = await erasure.at_once(db, means, SHELL, account_id, clock.unix_ms(), cause)
    if arguments.json:
        shown = account.view(await account.find(db, account_id))
        output.document({**shown, "certificate": msgspec.to_builtins(signed)})
    else:
        output.text(f"Account {account_id} is erased.")
    return DONE


def _link(config: Config) -> erasure.Link:
    return erasure.linked(console_url(config.console, config.console_listen))


async def _keep(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    found = await account.find(db, who(arguments))
    waiting = await erasure.waiting(db, found.id)
    if waiting is None:
        raise RelayError("erasure_not_found", param="account")
    kept = await erasure.cancel(db, SHELL, waiting, clock.unix_ms(), _link(config))
    if arguments.json:
        output.document(account.view(kept))
    else:
        output.text(f"Account {kept.id} stays: it is {kept.state} again.")
    return DONE


async def _export(db: Database, arguments: argparse.Namespace) -> int:
    if arguments.zip is not None:
        await write(arguments.zip, export.export(db, SHELL, who(arguments), clock.unix_ms()))
        return DONE
    await export.note(db, SHELL, who(arguments), clock.unix_ms())
    async for piece in account.export(db, who(arguments), clock.unix_ms()):
        output.raw(piece)
    return DONE


COMMANDS: Final = (
    Command("accounts create", "Make an account; API keys belong to accounts.",
            in_store(_create), prints_data=True, options=(
                option("--email", required=True, metavar="E", help="its e-mail address"),
                option("--name", metavar="N", help="a name for people"),
            )),
    Command("accounts list", "List all accounts with their addresses.", in_store(_list),
            prints_data=True, options=(
                option("--reason", metavar="TEXT", help="why, for the audit log"),
            ), epilog="The audit log has each listing. Other tables show names or ids."),
    Command("accounts suspend", "Refuse an account's calls until it is resumed.",
            in_configured_store(_move("suspend")), (*WHO, *WHY), prints_data=True,
            epilog="Its holder gets a mail with the reason, and a link to answer."),
    Command("accounts resume", "Serve a suspended account again.",
            in_configured_store(_move("resume")), WHO, prints_data=True),
    Command("accounts terminate", "End an account for good: its keys and sessions work no more.",
            in_configured_store(_move("terminate")), (*WHO, *WHY), prints_data=True,
            epilog="Its holder gets a mail with the reason, and a link to answer."),
    Command("accounts sign-in-link", "Print a link that signs in to an account, once.",
            in_configured_store(_link_to_sign_in), WHO, prints_data=True),
    Command("accounts erase", "Erase an account's personal data for good, and revoke its keys.",
            in_configured_store(_erase), prints_data=True, options=(
                *WHO, option("--yes", "-y", action="store_true", help="do not ask"),
                option("--cooling-off", action="store_true",
                       help="closed at once, erased in seven days: until then it can be called"
                            " off"),
                option("--minor", action="store_true",
                       help="because its holder is a child: the certificate says so"),
                option("--reason", metavar="TEXT", help="why, for the audit log"),
            ), epilog="No key and no session of it works from then on. Its call records stay, "
                      "under the bare id, so that totals still add up."),
    Command("accounts keep", "Call off an erasure that is not carried out yet.",
            in_configured_store(_keep), WHO, prints_data=True),
    Command("accounts export", "Print an account, its keys and its calls, as JSON.",
            in_store(_export), prints_data=True, options=(
                *WHO, option("--zip", metavar="FILE",
                             help="instead: all that is kept about it, as documents in a new "
                                  "zip file, as its holder downloads it"),
            )),
)
