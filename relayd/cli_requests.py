"""The commands `relayd requests ...`: lawful requests, with two people at the shell.

Law: at the shell people are told apart by their user of the system; who entered a request does not
approve it.
"""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_configured_store, in_store
from relayd.control import lawful
from relayd.control.lawful import Entry, Hand
from relayd.core.actor import SHELL
from relayd.core.lawful import BASES, SCOPES, LawfulRequest
from relayd.core.timestamp import parse_future, parse_past
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.store import parcel
from relayd.store.db import Database

PASSPHRASE_VARIABLE: Final = "RELAYD_PASSPHRASE"
_REQUEST: Final = option("request", metavar="REQUEST", help="the request's id")
_REASON: Final = option("--reason", metavar="TEXT", required=True, help="why, for the audit log")
TO: Final = (
    option("--to", metavar="HEX", help="the recipient's X25519 public key, 64 hex digits"),
    option("--passphrase", action="store_true",
           help=f"instead: a passphrase, from ${PASSPHRASE_VARIABLE}"),
    option("--out", metavar="FILE", required=True, help="a new file"),
)


def user() -> str:
    """Who is at the shell; where root is, the one who typed sudo."""
    own = pwd.getpwuid(os.getuid()).pw_name
    return os.environ.get("SUDO_USER", own) if os.getuid() == 0 else own


def hand(arguments: argparse.Namespace) -> Hand:
    """Who acts, and why."""
    return Hand(SHELL, arguments.reason, user())


def recipient(arguments: argparse.Namespace) -> parcel.Recipient:
    """Whom a file is packed for."""
    phrase = os.environ.get(PASSPHRASE_VARIABLE, "") if arguments.passphrase else None
    return parcel.recipient(arguments.to, phrase)


def new_file(name: str) -> Path:
    """A file that is not there yet."""
    path = Path(name)
    if path.exists():
        raise CommandError(f"{name} is there already.")
    return path


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file that its user alone reads."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        file.write(content)


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
    path, to = new_file(arguments.out), recipient(arguments)
    done, content = await lawful.produce(
        db, hand(arguments), arguments.request, to, clock.unix_ms())
    write_private(path, content)
    return _shown(arguments, done)


def _open(arguments: argparse.Namespace) -> int:
    private = None
    if arguments.key is not None:
        private = bytes.fromhex(Path(arguments.key).read_text("ascii").strip())
    content = parcel.unpack(
        Path(arguments.file).read_bytes(), private, os.environ.get(PASSPHRASE_VARIABLE))
    for piece in content:
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
    Command("requests approve", "Approve one that somebody else entered.", in_store(_approve),
            (_REQUEST, _REASON), prints_data=True),
    Command("requests refuse", "Refuse one that somebody else entered.", in_store(_refuse),
            (_REQUEST, _REASON), prints_data=True),
    Command("requests produce", "Write what an approved request asks for, for its recipient.",
            in_store(_produce), (_REQUEST, _REASON, *TO), prints_data=True),
    Command("requests open", "Open such a file, as its recipient does.", _open, (
        option("file", metavar="FILE", help="the file"),
        option("--key", metavar="FILE",
               help="a file with the X25519 private key in hex digits; else the passphrase in"
                    f" ${PASSPHRASE_VARIABLE}"),
    )),
)
