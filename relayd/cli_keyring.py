"""The command `relayd store rotate-key`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, CommandError, option
from relayd.cli_store import in_store
from relayd.control import keyring
from relayd.core.actor import SHELL
from relayd.ops import clock
from relayd.store.db import Database
from relayd.store.journal_lane import lock_store


async def _rotate(db: Database, arguments: argparse.Namespace) -> int:
    to = None if arguments.to is None else Path(arguments.to).absolute()
    if keyring.in_place(db):
        if to is not None:
            raise CommandError("The configuration names the master key's file: leave out --to.")
        done = await keyring.rotate(db, SHELL, clock.unix_ms())
        _tell(arguments, done, "Running processes take it from there.")
        return DONE
    if to is None or to.exists():
        raise CommandError("The configuration names no file for the master key: say --to FILE,"
                           " a new file for the new key.")
    lock = lock_store(db.directory, shared=False)  # a daemon could not read the new key
    try:
        done = await keyring.rotate(db, SHELL, clock.unix_ms(), to)
    finally:
        lock.release()
    _tell(arguments, done, "Put it where [store] master_key says, then start relayd.")
    return DONE


def _tell(arguments: argparse.Namespace, done: keyring.Rotated, next_step: str) -> None:
    if arguments.json:
        output.document({"keys": done.keys, "path": str(done.path)})
        return
    output.text(f"{done.keys} data keys are wrapped anew; the master key is in {done.path}.")
    output.text(next_step)
    output.text("Copies of keys.db that were made before are useless now: relayd backup --keys.")


COMMANDS: Final = (
    Command("store rotate-key", "Make a new master key, and encrypt every data key under it.",
            in_store(_rotate), prints_data=True, options=(
                option("--to", metavar="FILE",
                       help="a new file for the key, where the configuration names none"),
            ), epilog="Safe beside a running daemon where the master key is in a file."),
)
