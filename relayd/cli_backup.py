"""The commands `backup` and `restore`: a whole store, beside a daemon or without one.

Law: a backup only reads; a restore changes nothing before the backup is known to be whole.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, configured, option
from relayd.control import ledger, tombstone
from relayd.control.recovery import Recovered, recover
from relayd.control.subscription import plans_of
from relayd.core.plan import Tariff
from relayd.core.timestamp import compact, rfc3339
from relayd.ops import clock
from relayd.ops.config import Config
from relayd.ops.configfile_store import MASTER_KEY_BYTES, MASTER_NAME, master_key_bytes
from relayd.store.backup import DATABASE_NAME, Manifest, take, take_keys
from relayd.store.carry import Carried
from relayd.store.db import open_database
from relayd.store.directory import StoreError
from relayd.store.journal_lane import claim, lock_store
from relayd.store.master import write
from relayd.store.restore import Apart, Restored, restore
from relayd.store.secret import FILE_NAME as SECRET_NAME


def _backup(arguments: argparse.Namespace) -> int:
    store = Path(configured(arguments).store.path).absolute()
    if arguments.to is None and arguments.keys is None:
        raise CommandError("Give --to PATH, --keys FILE, or both.")
    if not (store / DATABASE_NAME).exists():
        raise CommandError(f"There is no store in {store}.", FAULT)
    target, keys = _places(store, arguments)
    manifest, count = None, None
    try:
        if target is not None:
            manifest = take(store, target, with_secret=arguments.with_secret,
                            created_at=rfc3339(clock.unix_ms()))
        if keys is not None:  # last, so that it has all that the backup needs
            count = take_keys(store, keys)
    except FileExistsError:
        raise CommandError(f"{target} is there already. Give a new name.") from None
    except StoreError as error:
        raise CommandError(_backup_fault(store, error), FAULT) from None
    _tell_backup(arguments, (target, manifest), (keys, count))
    return DONE


def _places(store: Path, arguments: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where the backup and the data keys go."""
    target, keys = (None if name is None else Path(name).absolute()
                    for name in (arguments.to, arguments.keys))
    for path in (target, keys):
        if path is not None:
            _check_place(store, path)
    if target is not None and keys is not None and target in (keys, *keys.parents):
        raise CommandError("The data keys would be in the backup: then nothing in it could be"
                           " erased. Give another place for --keys.")
    return target, keys


def _check_place(store: Path, path: Path) -> None:
    real = path.resolve()
    if store.resolve() in (real, *real.parents):
        raise CommandError("The backup would be inside the store. Give another place.")
    if not path.parent.is_dir():
        raise CommandError(f"{path.parent} is not a directory. Make it first.")


def _backup_fault(store: Path, error: StoreError) -> str:
    if error.code == "backup_damaged":
        return f"store {store}: The copy is not sound, so the store is damaged. See relayd doctor."
    return f"store {store}, or the place of the backup: {error.sentence}"


def _tell_backup(
    arguments: argparse.Namespace, made: tuple[Path | None, Manifest | None],
    keys: tuple[Path | None, int | None],
) -> None:
    target, manifest = made
    size = sum(file.bytes for file in manifest.files.values()) if manifest else 0
    journal = [name for name in manifest.files if name.startswith("journal/")] if manifest else []
    has_secret = manifest is not None and SECRET_NAME in manifest.files
    if arguments.json:
        output.document({
            "path": None if target is None else str(target),
            "created_at": None if manifest is None else manifest.created_at, "bytes": size,
            "schema": None if manifest is None else manifest.schema,
            "journal_files": len(journal), "secret": has_secret,
            "keys_path": None if keys[0] is None else str(keys[0]), "keys": keys[1]})
        return
    if manifest is not None:
        output.text(f"{target}: the database and {len(journal)} files of the journal, {size}"
                    " bytes, checked.")
        output.text("It has the store's secret: keep it closed." if has_secret else
                    "It has not the store's secret, without which no API key works: keep that"
                    " apart (--with-secret).")
    if keys[0] is not None:
        output.text(f"{keys[0]}: {keys[1]} data keys. Keep one such file and no older ones: what"
                    " is erased today opens with yesterday's.")
    elif manifest is not None:
        output.text("The data keys are not in it: relayd backup --keys FILE.")


def _restore(arguments: argparse.Namespace) -> int:
    config = configured(arguments)
    store = Path(config.store.path).absolute()
    source = Path(arguments.source)
    if not source.exists():
        raise CommandError(f"There is no {source}.")
    apart = Apart(_given(arguments.secret), _given(arguments.keys), config.store.master_key)
    try:
        lock = lock_store(store, shared=False)
        try:
            with _master_key(store, _given(arguments.master_key)):
                done = restore(source, store, replace=arguments.replace, apart=apart,
                               stamp=compact(clock.unix_ms()))
            outcome = asyncio.run(_bring_up(store, config))
        finally:
            lock.release()
    except StoreError as error:
        raise CommandError(f"store {store}: {error.sentence}", FAULT) from None
    _tell_restore(arguments, done, outcome)
    return FAULT if outcome.wrong or outcome.recovered.refused else DONE


def _given(name: str | None) -> Path | None:
    path = None if name is None else Path(name)
    if path is not None and not path.is_file():
        raise CommandError(f"There is no file {path}.")
    return path


@contextmanager
def _master_key(store: Path, given: Path | None) -> Iterator[None]:
    """Lets the store have the master key in `given` where it has none, if the block succeeds."""
    place = store / MASTER_NAME
    if given is None or place.exists():
        yield
        return
    raw = given.read_bytes()
    key = raw if len(raw) == MASTER_KEY_BYTES else master_key_bytes(
        raw.decode("latin-1").strip())
    if key is None:
        raise CommandError(f"{given} is not a master key: it must hold 32 bytes, or these in hex.")
    write(place, key, False)
    try:
        yield
    except BaseException:
        place.unlink(missing_ok=True)
        raise


class Outcome(NamedTuple):
    """What came of the restored store: erasures that it did not know, its journal, its totals."""

    erased: int
    recovered: Recovered
    wrong: int


async def _bring_up(store: Path, config: Config) -> Outcome:
    """Erases again who was erased since, and brings the journal to the database as a start would.
    """
    db = await open_database(store, master=config.store.master_key)
    try:
        erased = await tombstone.reapply(db, config.retention.terms(), clock.unix_ms())
        lanes = claim(store)
        try:
            tariff = Tariff(config.prices, config.plans, await plans_of(db))
            found, _ = await recover(db, lanes, tariff)
        finally:
            for lane in lanes:
                lane.release()
        return Outcome(erased, found, len(await ledger.verify(db)))
    finally:
        await db.close()


def _tell_restore(arguments: argparse.Namespace, done: Restored, outcome: Outcome) -> None:
    created_at = None if done.manifest is None else done.manifest.created_at
    aside = None if done.aside is None else str(done.aside)
    found, wrong = outcome.recovered, outcome.wrong
    if arguments.json:
        output.document({
            "created_at": created_at, "replaced": aside, "replayed": found.replayed,
            "interrupted": found.interrupted, "refused": len(found.refused),
            "torn_bytes": found.torn_bytes, "wrong_totals": wrong, "erased": outcome.erased,
            "before": _standing(done.carried), "carried": done.carried.done,
            "lost": done.carried.lost})
        return
    output.text(f"Restored the backup of {created_at or 'a database alone'}.")
    output.text(f"{found.replayed} calls came from its journal, {found.interrupted} were under way"
                " and are recorded as interrupted.")
    if outcome.erased:
        output.text(f"{outcome.erased} accounts had been erased since, and are erased again.")
    if aside is not None:
        output.text(f"The store before is in {aside}.")
    for line in _told(done.carried, aside is not None):
        output.text(line)
    output.text("All totals are right." if not wrong else
                f"{wrong} totals are wrong: relayd ledger verify lists them.")


_CARRIED: Final = {
    "sessions": "sessions ended: everybody signs in anew",
    "consents": "consents that had been withdrawn since are withdrawn",
    "objections": "objections to a notice that had been made since stand",
    "keys": "API keys that had been revoked since are revoked",
    "keys_narrowed": "API keys end, or reach models, as had been narrowed since",
    "limits": "limits that had been lowered since are as low",
    "roles": "operators' roles that had been taken since are taken",
    "subscriptions": "subscriptions that had been cancelled since are cancelled",
    "passwords": "passwords that had been changed since are the new ones",
    "addresses": "e-mail addresses that had been changed since are the new ones",
    "standings": "accounts that had been suspended, resumed or closed since are so",
    "mails": "mails that had been sent since are not sent again",
    "invoices": "invoices and receipts that had been issued since are here, under their numbers",
    "fapiao": "fapiao that had been applied for or moved since are here, as they were last",
}
_LOST: Final = {"accounts": "accounts", "api_keys": "API keys", "orders": "orders",
                "invoices": "invoices", "fapiao": "fapiao", "tickets": "tickets"}
_AGAIN: Final = """\
What was done since the backup and takes rights away is not known here. Do it again by hand:
consents that were withdrawn, keys that were revoked, roles that were taken, accounts that were
suspended, subscriptions that were cancelled, passwords and addresses that were changed, limits
that were lowered."""


def _standing(carried: Carried) -> str:
    """What the restore could go by: the store before, only what tells its own time, or nothing."""
    return "known" if carried.known and carried.later else "parted" if carried.known else "unknown"


def _told(carried: Carried, had_before: bool) -> Iterator[str]:
    """What was taken over from the store before, and what somebody has to do."""
    for name, count in carried.done.items():
        if count:
            yield f"{count} {_CARRIED[name]}."
    if had_before and not carried.known:
        yield "The store before could not be read, or one of the two is an earlier relayd's."
    elif carried.known and not carried.later:
        yield ("The store before does not go on from this backup: of it only consents,"
               " objections and revoked keys were taken over.")
    if not carried.later:
        yield _AGAIN
    lost = [f"{count} {_LOST[name]}" for name, count in carried.lost.items() if count]
    if lost:
        yield f"Not in the backup, and now only in the store before: {', '.join(lost)}."
    if carried.lost.get("invoices") or not carried.known:
        yield ("Invoices that were issued since have numbers that would be given again: issue none"
               " before you have looked at them.")


COMMANDS: Final = (
    Command("backup", "Back up the store, also beside a running daemon, and verify the copy.",
            _backup, prints_data=True, options=(
                option("--to", metavar="PATH",
                       help="a new directory, or a new file NAME.tar"),
                option("--keys", metavar="FILE",
                       help="back up the data keys into this file, which is replaced"),
                option("--with-secret", action="store_true",
                       help="include the store's secret, with which API keys are checked"),
            )),
    Command("restore", "Restore a backup; the daemon must be stopped.",
            _restore, prints_data=True, options=(
                option("--from", metavar="PATH", required=True, dest="source",
                       help="a backup, or a database file alone"),
                option("--replace", action="store_true",
                       help="replace a store that is not empty; it is kept beside the new one"),
                option("--secret", metavar="FILE", help="the store's secret, if kept apart"),
                option("--keys", metavar="FILE", help="the data keys, where the store has none"),
                option("--master-key", metavar="FILE",
                       help="the master key, where the store has none"),
            )),
)
