"""The commands `relayd audit ...`: list the log, verify it, prove an event, print its key."""

from __future__ import annotations

import argparse
import re
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, option
from relayd.cli_store import in_store
from relayd.control import account, audit, checkpoint
from relayd.core.timestamp import parse_past
from relayd.ops import clock
from relayd.store.db import Database
from relayd.store.signing import open_signer

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_SEEN: Final = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


def _trusted(db: Database, arguments: argparse.Namespace) -> set[bytes]:
    """The store's own key, and those that the command names."""
    named = arguments.key or []
    if not all(_KEY.fullmatch(each) for each in named):
        raise CommandError("A public key is 64 hexadecimal digits: see relayd audit key.")
    return {open_signer(db.directory).public, *map(bytes.fromhex, named)}


def _seen(text: str | None) -> tuple[int, bytes] | None:
    if text is None:
        return None
    found = _SEEN.fullmatch(text)
    if found is None:
        raise CommandError("--seen takes NUMBER:HASH, as a checkpoint's line in the log has them.")
    return int(found[1]), bytes.fromhex(found[2])


async def _verify(db: Database, arguments: argparse.Namespace) -> int:
    verdict = await checkpoint.verify(db, _trusted(db, arguments), _seen(arguments.seen))
    broken = verdict.broken
    if arguments.json:
        output.document({
            "sound": broken is None, "first_event": verdict.first_seq,
            "last_event": verdict.last_seq, "hash": verdict.hash.hex(), "events": verdict.events,
            "checkpoints": verdict.checkpoints, "events_unsigned": verdict.unsigned,
            "broken": None if broken is None else {
                "kind": "checkpoint" if broken.of_checkpoint else "event", "number": broken.seq,
                "what": broken.what}})
    elif broken is not None:
        kind = "Checkpoint" if broken.of_checkpoint else "Event"
        output.text(f"BROKEN: {kind} {broken.seq} {broken.what}.")
    else:
        output.text(f"Sound: {verdict.events} events, {verdict.checkpoints} checkpoints, "
                    f"{verdict.unsigned} events since the last.")
        output.text(f"Keep this elsewhere: --seen {verdict.last_seq}:{verdict.hash.hex()}")
    return DONE if broken is None else FAULT


async def _list(db: Database, arguments: argparse.Namespace) -> int:
    since = arguments.since
    since_ms = 0 if since is None else parse_past(since, clock.unix_ms(), "since")
    target = None if arguments.account is None else (
        await account.find(db, arguments.account)).id
    found = [each async for each in audit.listing(db, since_ms=since_ms, target=target)]
    if arguments.json:
        output.document([audit.view(each) for each in found])
    else:
        output.table(("EVENT", "TIME", "BY", "WAY", "ACTION", "ABOUT", "DETAILS", "REASON"), [
            (each.event.seq, output.moment(each.event.at_ms), each.event.actor, each.event.via,
             each.event.action, each.event.target, _details(each), each.reason)
            for each in found])
    return DONE


def _details(entry: audit.Entry) -> str | None:
    return entry.event.details.strip("{}").replace('"', "") or None


async def _prove(db: Database, arguments: argparse.Namespace) -> int:
    proof = await checkpoint.prove(db, arguments.event)
    output.document({
        "event": arguments.event, "action": proof.event.action, "leaf": proof.leaf.hex(),
        "index": proof.index, "count": proof.count, "path": [step.hex() for step in proof.path],
        "checkpoint": checkpoint.view(proof.checkpoint)})
    return DONE


async def _key(db: Database, arguments: argparse.Namespace) -> int:
    public = open_signer(db.directory).public.hex()
    if arguments.json:
        output.document({"algorithm": "Ed25519", "public_key": public})
    else:
        output.text(public)
    return DONE


COMMANDS: Final = (
    Command("audit list", "Show who did what to whose data.", in_store(_list), prints_data=True,
            options=(
                option("--since", metavar="T", help="events at T (a date, an RFC 3339 time, or a "
                       "span such as 7d) or later"),
                option("--account", metavar="E", help="events about this account"),
            )),
    Command("audit verify", "Check the audit log against its hashes and signatures.",
            in_store(_verify), prints_data=True, options=(
                option("--key", metavar="HEX", action="append",
                       help="another public key to trust; may be repeated"),
                option("--seen", metavar="N:HASH", help="an event's number and hash, noted "
                       "earlier: it must still be there"),
            ), epilog="Exit code 1 where something was changed; the first such event or"
                      " checkpoint is named."),
    Command("audit prove", "Print the proof that an event is in a signed checkpoint, as JSON.",
            in_store(_prove), prints_data=True, options=(
                option("event", metavar="N", type=int, help="the event's number"),)),
    Command("audit key", "Print the public key that checkpoints and reports are signed with.",
            in_store(_key), prints_data=True),
)
