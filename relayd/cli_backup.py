"""The commands `backup` and `restore`: a whole store, beside a daemon or without one.

Law: a backup only reads; a restore changes nothing before the backup is known to be whole.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, option
from relayd.control import ledger
from relayd.control.recovery import Recovered, recover
from relayd.core.price import PriceBook
from relayd.core.timestamp import compact, rfc3339
from relayd.ops import clock, configfile
from relayd.store.backup import DATABASE_NAME, Manifest, take
from relayd.store.db import open_database
from relayd.store.directory import StoreError
from relayd.store.journal_lane import claim, lock_store
from relayd.store.restore import Restored, restore
from relayd.store.secret import FILE_NAME as SECRET_NAME


def _backup(arguments: argparse.Namespace) -> int:
    store = _store(arguments)[0]
    target = Path(arguments.to).absolute()
    if not (store / DATABASE_NAME).exists():
        raise CommandError(f"There is no store in {store}.", FAULT)
    if store == target or store in target.parents:
        raise CommandError("The backup would be inside the store. Give another place.")
    if not target.parent.is_dir():
        raise CommandError(f"{target.parent} is no directory. Make it first.")
    try:
        manifest = take(store, target, with_secret=arguments.with_secret,
                        created_at=rfc3339(clock.unix_ms()))
    except FileExistsError:
        raise CommandError(f"{target} is there already. Give a new name.") from None
    except StoreError as error:
        raise CommandError(_backup_fault(store, error), FAULT) from None
    _tell_backup(arguments, target, manifest)
    return DONE


def _backup_fault(store: Path, error: StoreError) -> str:
    if error.code == "backup_damaged":
        return f"store {store}: The copy is not sound, so the store is damaged. See relayd doctor."
    return f"store {store}, or the place of the backup: {error.kind.message}"


def _tell_backup(arguments: argparse.Namespace, target: Path, manifest: Manifest) -> None:
    size = sum(file.bytes for file in manifest.files.values())
    journal = [name for name in manifest.files if name.startswith("journal/")]
    has_secret = SECRET_NAME in manifest.files
    if arguments.json:
        output.document({
            "path": str(target), "created_at": manifest.created_at, "bytes": size,
            "schema": manifest.schema, "journal_files": len(journal), "secret": has_secret})
        return
    output.text(f"{target}: the database and {len(journal)} files of the journal, {size} bytes,"
                " checked.")
    output.text("It has the store's secret: keep it closed." if has_secret else
                "It has not the store's secret, without which no API key works: keep that apart"
                " (--with-secret).")


def _restore(arguments: argparse.Namespace) -> int:
    store, book = _store(arguments)
    source = Path(arguments.source)
    if not source.exists():
        raise CommandError(f"There is no {source}.")
    secret = None if arguments.secret is None else Path(arguments.secret)
    if secret is not None and not secret.is_file():
        raise CommandError(f"There is no file {secret}.")
    try:
        lock = lock_store(store, shared=False)
        try:
            done = restore(source, store, replace=arguments.replace, secret=secret,
                           stamp=compact(clock.unix_ms()))
            found, wrong = asyncio.run(_replay(store, book))
        finally:
            lock.release()
    except StoreError as error:
        raise CommandError(f"store {store}: {error.kind.message}", FAULT) from None
    _tell_restore(arguments, done, found, wrong)
    return FAULT if wrong or found.refused else DONE


async def _replay(store: Path, book: PriceBook) -> tuple[Recovered, int]:
    """Brings the journal to the database as a start would; the number of totals that are wrong."""
    db = await open_database(store)
    try:
        lanes = claim(store)
        try:
            found, _ = await recover(db, lanes, book)
        finally:
            for lane in lanes:
                lane.release()
        return found, len(await ledger.verify(db))
    finally:
        await db.close()


def _tell_restore(arguments: argparse.Namespace, done: Restored, found: Recovered,
                  wrong: int) -> None:
    created_at = None if done.manifest is None else done.manifest.created_at
    aside = None if done.aside is None else str(done.aside)
    if arguments.json:
        output.document({
            "created_at": created_at, "replaced": aside, "replayed": found.replayed,
            "interrupted": found.interrupted, "refused": len(found.refused),
            "torn_bytes": found.torn_bytes, "wrong_totals": wrong})
        return
    output.text(f"Restored the backup of {created_at or 'a database alone'}.")
    output.text(f"{found.replayed} calls came from its journal, {found.interrupted} were under way"
                " and are recorded as interrupted.")
    if aside is not None:
        output.text(f"The store before is in {aside}.")
    output.text("All totals are right." if not wrong else
                f"{wrong} totals are wrong: relayd ledger verify lists them.")


def _store(arguments: argparse.Namespace) -> tuple[Path, PriceBook]:
    config = configfile.load(arguments.config or configfile.default_path(), secrets="skip")
    return Path(config.store.path).absolute(), config.prices


COMMANDS: Final = (
    Command("backup", "Copy the store, also beside a running daemon, and check the copy.",
            _backup, prints_data=True, options=(
                option("--to", metavar="PATH", required=True,
                       help="a new directory, or a new file NAME.tar"),
                option("--with-secret", action="store_true",
                       help="with the store's secret, which API keys are checked with"),
            )),
    Command("restore", "Put a backup in the store's place; the daemon must be stopped.",
            _restore, prints_data=True, options=(
                option("--from", metavar="PATH", required=True, dest="source",
                       help="what backup made, or a database file alone"),
                option("--replace", action="store_true",
                       help="over a store that is not empty, which is kept beside it"),
                option("--secret", metavar="FILE", help="the store's secret, if kept apart"),
            )),
)
