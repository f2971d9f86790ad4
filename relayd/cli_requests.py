"""The commands `relayd requests ...`: lawful requests, with two people at the shell.

Law: at the shell people are told apart by the user of the system that they signed in as; who
entered a request does not decide on it, and what was entered in the console is decided there.
"""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_configured_store, in_store, write
from relayd.control import lawful
from relayd.control.lawful import Entry, Hand
from relayd.core.actor import SHELL
from relayd.core.lawful import BASES, SCOPES, LawfulRequest
from relayd.core.timestamp import parse_future, parse_past
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store import parcel
from relayd.store.db import Database

LOGIN_UID: Final = Path("/proc/self/loginuid")
NO_LOGIN: Final = 0xFFFFFFFF
_REQUEST: Final = option("request", metavar="REQUEST", help="the request's id")
_REASON: Final = option("--reason", metavar="TEXT", required=True, help="why, for the audit log")
TO: Final = (
    option("--to", metavar="HEX", help="the recipient's X25519 public key, 64 hex digits"),
    option("--passphrase", metavar="FILE", help="instead: a file with a passphrase"),
    option("--out", metavar="FILE", required=True, help="a new file"),
)


def user() -> str:
    """Who is at the shell: who signed in to the machine, also where sudo made them another.

    The kernel keeps that apart (loginuid), and only root could change it.
    """
    number = _login()
    return pwd.getpwuid(os.getuid() if number == NO_LOGIN else number).pw_name


def signed_in() -> bool:
    """Whether the kernel knows who signed in; in a container it does not, and whoever may become
    another user there would be two people."""
    return _login() != NO_LOGIN


def _login() -> int:
    try:
        return int(LOGIN_UID.read_text("ascii"))
    except (OSError, ValueError):
        return NO_LOGIN


def hand(arguments: argparse.Namespace) -> Hand:
    """Who acts, and why."""
    return Hand(SHELL, arguments.reason, user(), signed_in())


def recipient(arguments: argparse.Namespace) -> parcel.Recipient:
    """Whom a file is packed for."""
    return parcel.recipient(arguments.to, _said(arguments.passphrase))


def _said(name: str | None) -> str | None:
    """What a small file says."""
    if name is None:
        return None
    try:
        return Path(name).read_text("utf-8").strip()
    except (OSError, ValueError):
        raise CommandError(f"{name} cannot be read.") from None


async def _enter(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    now_ms = clock.unix_ms()
    gag = arguments.gag_until
    made = await lawful.enter(db, hand(arguments), Entry(
        account=arguments.account, basis=arguments.basis, authority=arguments.authority,
        reference=arguments.reference, document_sha256=arguments.document_sha256,
        scope=tuple(arguments.scope.split(",")), reason=arguments.reason,
        since_ms=parse_past(arguments.since, now_ms, "since"),
        until_ms=now_ms if arguments.until is None else parse_past(
            arguments.until, now_ms, "until"),
        gag_until_ms=None if gag is None else parse_future(gag, now_ms, "gag_until"),
    ), config.retention.terms(), now_ms)
    return _shown(arguments, made)


def _shown(arguments: argparse.Namespace, request: LawfulRequest) -> int:
    if arguments.json:
        output.document(lawful.view(request))
    else:
        output.text(f"Request {request.id} is {request.state.replace('_', ' ')}.")
    return DONE


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    found = await lawful.listing(db, SHELL)
    if arguments.json:
        output.document([lawful.view(each) for each in found])
    else:
        output.table(("ID", "STATE", "BASIS", "ACCOUNT", "OPENED", "EXPIRES", "BY"), [
            (each.id, each.state, each.basis, each.account, output.moment(each.opened_at_ms),
             output.moment(each.expires_at_ms), each.requester) for each in found])
    return DONE


async def _show(db: Database, arguments: argparse.Namespace) -> int:
    output.document(lawful.view(await lawful.get(db, SHELL, arguments.request)))
    return DONE


async def _approve(db: Database, arguments: argparse.Namespace) -> int:
    done = await lawful.approve(db, hand(arguments), arguments.request, clock.unix_ms())
    return _shown(arguments, done)


async def _refuse(db: Database, arguments: argparse.Namespace) -> int:
    done = await lawful.refuse(db, hand(arguments), arguments.request, clock.unix_ms())
    return _shown(arguments, done)


async def _produce(db: Database, arguments: argparse.Namespace) -> int:
    to = recipient(arguments)
    done: list[LawfulRequest] = []

    async def content() -> AsyncIterator[bytes]:
        request, whole = await lawful.produce(
            db, hand(arguments), arguments.request, to, clock.unix_ms())
        done.append(request)
        yield whole

    await write(arguments.out, content())
    return _shown(arguments, done[0])


def _open(arguments: argparse.Namespace) -> int:
    private = _said(arguments.key)
    try:
        key = None if private is None else bytes.fromhex(private)
        whole = Path(arguments.file).read_bytes()
    except (OSError, ValueError):
        raise CommandError("The file, or the key, cannot be read.") from None
    for piece in parcel.unpack(whole, key, _said(arguments.passphrase)):
        sys.stdout.buffer.write(piece)
    return DONE


COMMANDS: Final = (
    Command("requests enter", "Enter a lawful request; another person has to approve it.",
            in_configured_store(_enter), prints_data=True, options=(
                option("--account", required=True, metavar="E", help="whom it is about"),
                option("--basis", required=True, choices=BASES, help="what it rests on"),
                option("--authority", required=True, metavar="TEXT", help="who asks"),
                option("--reference", required=True, metavar="TEXT", help="their number"),
                option("--document-sha256", required=True, metavar="HEX",
                       help="the hash of their letter"),
                option("--scope", required=True, metavar="A,B",
                       help=f"what they ask for: {', '.join(SCOPES)}"),
                option("--since", required=True, metavar="TIME", help="from when on"),
                option("--until", metavar="TIME", help="to when (default: now)"),
                option("--gag-until", metavar="TIME", help="the owner may not be told before"),
                _REASON,
            ), epilog="A request for content alone is answered at once: none is held."),
    Command("requests list", "List lawful requests.", in_store(_list), prints_data=True),
    Command("requests show", "Show one, as JSON.", in_store(_show), (_REQUEST,),
            prints_data=True),
    Command("requests approve", "Approve what somebody else entered.", in_store(_approve),
            (_REQUEST, _REASON), prints_data=True),
    Command("requests refuse", "Refuse what somebody else entered.", in_store(_refuse),
            (_REQUEST, _REASON), prints_data=True),
    Command("requests produce", "Write what an approved request asks for, for its recipient.",
            in_store(_produce), (_REQUEST, _REASON, *TO), prints_data=True),
    Command("requests open", "Open a produced file, as its recipient does.", _open, (
        option("file", metavar="FILE", help="the file"),
        option("--key", metavar="FILE", help="a file with the X25519 private key, in hex digits"),
        option("--passphrase", metavar="FILE", help="instead: a file with the passphrase"),
    )),
)
