"""The command `relayd doctor`: examines a running or stopped installation.

Law: changes nothing, makes nothing, and sends no request to a provider. One part that fails does
not keep the others from being examined.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import Command, option
from relayd.control import assessment, checkpoint, journal
from relayd.core.assessment import OVERDUE_MS, Assessment
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339
from relayd.ops import clock, doctor
from relayd.ops.config import Config, MasterKey
from relayd.ops.configfile import default_path, examine
from relayd.ops.configfile_fault import Fault
from relayd.ops.dependencies import dependencies_finding
from relayd.ops.doctor import Finding, Level
from relayd.ops.doctor_config import config_findings
from relayd.ops.doctor_reach import (
    daemon_finding, health_findings, memory_finding, provider_finding,
)
from relayd.relay.tokenizer import Encodings
from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.directory import StoreError
from relayd.store.integrity import due, is_sound
from relayd.store.journal_lane import lane_directory, lanes, owned
from relayd.store.journal_segment import paths as segments
from relayd.store.keyring import FILE_NAME as KEYS_NAME
from relayd.store.master import FILE_NAME as MASTER_NAME
from relayd.store.secret import FILE_NAME as SECRET_NAME
from relayd.store.signing import FILE_NAME as SIGNING_NAME
from relayd.store.signing import open_signer

ENCODINGS: Final = ("o200k_base", "cl100k_base")
"""Those that the daemon counts with."""

REMEDIES: Final = {
    "store_master_key": "Put master.key back into the store's directory (mode 0600), or correct"
    " [store] master_key. If it is lost for good, so is all personal data.",
    "store_keys": "Copy the file that relayd backup --keys made to keys.db in the"
    " store's directory (mode 0600).",
}
"""What to do where the store cannot be opened."""

CREDENTIALS: Final = ("While the service runs, root has its credentials too: set"
                      " CREDENTIALS_DIRECTORY=/run/credentials/relayd.service.")

_MARKS: Final = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


async def examine_installation(path: str, *, offline: bool = False) -> AsyncIterator[Finding]:
    """Every finding, in a fixed order, as it is made: a large store takes its time. `offline`
    leaves the providers alone."""
    reading = examine(path, secrets="examine")
    for fault in reading.faults:
        yield _of_the_file("fail", fault)
    for warning in reading.warnings:
        yield _of_the_file("warn", warning)
    if reading.config is not None:
        yield Finding("ok", "configuration", f"{path} is usable.")
    for finding in (doctor.clock_finding(clock.unix_ms()), doctor.swap_finding(),
                    doctor.core_finding(), dependencies_finding(clock.unix_ms())):
        yield finding
    for finding in _tokenizer_findings():
        yield finding
    if reading.config is not None:
        async for finding in _installed(reading.config, offline):
            yield finding


def _of_the_file(level: Level, fault: Fault) -> Finding:
    remedy = fault.remedy
    if remedy and not remedy.endswith("?"):
        remedy += "."
    return Finding(level, "configuration", f"{replace(fault, remedy='')}.", remedy)


async def _installed(config: Config, offline: bool) -> AsyncIterator[Finding]:
    for finding in config_findings(config, clock.unix_ms()):
        yield finding
    for finding in await store_findings(Path(config.store.path), config.store.master_key):
        yield finding
    if config.server.tls is not None:
        yield doctor.certificate_finding(config.server.tls.certificate, clock.unix_ms())
    yield await daemon_finding(config.ops_listen)
    memory = await memory_finding(config.ops_listen, config.privacy.wipe_memory)
    if memory is not None:  # there is a daemon
        yield memory
        elsewhere = _elsewhere(Path(config.store.path))
        if elsewhere is not None:
            yield elsewhere
    for finding in await health_findings(config.ops_listen, config.providers):
        yield finding
    if not offline:
        for finding in await asyncio.gather(
                *(provider_finding(provider) for provider in config.providers.values())):
            yield finding


async def store_findings(directory: Path, master: MasterKey | None = None) -> list[Finding]:
    """The store's directory, its files, and what SQLite says of the database."""
    try:
        directory.stat()
    except FileNotFoundError:
        return [Finding("warn", "store", f"{directory} does not exist yet.",
                        "The first start makes it; its parent must be writable then.")]
    except OSError:
        return [doctor.private_finding("store", directory)]
    findings = [doctor.private_finding("store", directory), doctor.writable_finding(directory),
                doctor.space_finding(directory)]
    if not os.access(directory, os.R_OK | os.X_OK):
        return findings  # one of them says whose it is
    files = [directory / FILE_NAME, directory / SECRET_NAME]
    files += [path for path in (directory / KEYS_NAME, directory / MASTER_NAME) if path.exists()]
    if not files[0].exists():
        return [*findings, Finding("ok", "database", "There is no database yet.")]
    findings += [doctor.private_finding("store", file) for file in files]
    return [*findings, *await _database_findings(directory, master)]


async def _database_findings(directory: Path, master: MasterKey | None) -> list[Finding]:
    if master is not None and not master.text:  # the configuration has a warning, no fault
        return [Finding("warn", "database", "It was not looked at: the master key can be read"
                        " inside the service only.", CREDENTIALS)]
    try:
        if await due(directory / FILE_NAME):  # to open it would do what a start is to do
            return [Finding("warn", "database", "The store is an earlier relayd's. The next"
                            " start copies and upgrades it.", "Restart relayd.")]
        db = await open_database(directory, master=master)
        try:
            wrapped_since_ms = db.keyring.since_ms()
            async with db.reading() as transaction:
                sound = await is_sound(transaction)
            logged = await journal.verify(db) if sound else journal.Finding()
            audited = await _audit_finding(db)
            assessed = await assessment.last(db) if sound else None
        finally:
            await db.close()
    except OSError as error:  # its journal is a directory of another user, for one
        return [Finding("fail", "store", f"{error.filename}: {error.strerror}.",
                        "Give it to the user that runs relayd, or run the doctor as that user.")]
    except RelayError as error:
        said = error.sentence if isinstance(error, StoreError) else error.kind.message
        return [Finding("fail", "database", said, REMEDIES.get(error.code, ""))]
    if sound:
        return [Finding("ok", "database", "The database is sound."),
                doctor.master_key_finding(wrapped_since_ms, clock.unix_ms()),
                _journal_finding(directory, logged), audited,
                *_assessment_findings(assessed, clock.unix_ms())]
    return [Finding("fail", "database", "The database is damaged.",
                    "Stop the daemon, keep a copy of the directory, and restore a backup.")]


def _assessment_findings(made: Assessment | None, now_ms: int) -> Iterator[Finding]:
    """The last self-assessment that the daemon made: what it found then."""
    subject = "assessment"
    if made is None:
        yield Finding("ok", subject, "There is none yet: a running daemon makes one every week.")
        return
    day = rfc3339(made.at_ms)[:10]
    if now_ms - made.at_ms > OVERDUE_MS:
        yield Finding("warn", subject, f"The last self-assessment is of {day}.",
                      "A running daemon makes one every week: see assessment_failed in its log.")
    for each in made.findings:
        yield Finding("warn", subject, f"{day}: {each.sentence}")
    if not made.findings:
        yield Finding("ok", subject, f"{day}: nothing was found in {len(made.judged)} subjects.")


async def _audit_finding(db: Database) -> Finding:
    """Whether the audit log is what its hashes and signatures say."""
    # a key that is not there is made by the first start, not by who looks
    there = (db.directory / SIGNING_NAME).exists()
    verdict = await checkpoint.verify(db, {open_signer(db.directory).public} if there else set())
    broken = verdict.broken
    if broken is None:
        return Finding("ok", "audit log", f"The audit log is sound: {verdict.events} events, "
                                          f"{verdict.checkpoints} checkpoints.")
    kind = "Checkpoint" if broken.of_checkpoint else "Event"
    return Finding("fail", "audit log", f"{kind} {broken.seq} {broken.what}.",
                   "See relayd audit verify. Checkpoints of an earlier signing key: name it with "
                   "--key.")


def _journal_finding(directory: Path, logged: journal.Finding) -> Finding:
    """What the journal's files say, beside a daemon or after one."""
    if logged.mismatches:
        return Finding("fail", "journal", f"{len(logged.mismatches)} calls of the journal differ"
                       " from their records.", "relayd ledger verify lists them.")
    numbers = lanes(directory)
    left = [number for number in numbers if not owned(directory, number)]
    if left == numbers:
        if logged.torn_bytes:
            return Finding("warn", "journal",
                           f"{logged.torn_bytes} bytes of the journal cannot be read.",
                           "The next start skips them. Check the disk.")
        if logged.files:
            return Finding("warn", "journal", f"A daemon was killed; {logged.waiting} closed calls"
                           " of its journal are not in the store yet.", "The next start does it.")
    elif any(segments(lane_directory(directory, number)) for number in left):
        return Finding("warn", "journal", "A daemon was killed, and another one runs; the calls"
                       " of its journal are not in the store yet.",
                       "Start it again: the next start on this store does it.")
    return Finding("ok", "journal", f"The journal is sound; {logged.waiting} of its"
                   f" {logged.closed} closed calls wait for the store.")


def _elsewhere(directory: Path) -> Finding | None:
    """Whether the daemon that runs has another store than the one that is at its place."""
    try:
        if any(owned(directory, number) for number in lanes(directory)):
            return None
    except (OSError, StoreError):  # `store_findings` tells
        return None
    return Finding("fail", "store", f"The daemon that answers does not use {directory}.",
                   "If the store was moved, or something was mounted over it, put it back before"
                   " the daemon ends: its records are lost otherwise; if it was deleted, see the"
                   " operator's guide first. Else [ops] listen is that of another daemon.")


def _tokenizer_findings() -> Iterator[Finding]:
    for name in ENCODINGS:
        try:
            Encodings().load((name,))
        except (OSError, ValueError, LookupError, RuntimeError) as error:
            yield Finding("fail", "tokenizer",
                          f"{name} cannot be loaded ({type(error).__name__}).",
                          "Its file is missing or altered: install relayd again.")
        else:
            yield Finding("ok", "tokenizer", f"{name} is as shipped.")


def _print(finding: Finding) -> None:
    output.text(f"{_MARKS[finding.level]}  {finding.subject}: {finding.sentence}")
    if finding.remedy:
        output.text(f"      {finding.remedy}")


def _summary(levels: Sequence[Level]) -> str:
    """The last line: whether there is something to do."""
    failing, warnings = levels.count("fail"), levels.count("warn")
    if failing:
        return f"{failing} to repair (FAIL), {warnings} to look at (WARN)."
    return f"Nothing fails; {warnings} to look at (WARN)." if warnings else "All is well."


async def _examined(arguments: argparse.Namespace) -> list[Finding]:
    findings = []
    async for finding in examine_installation(
            arguments.config or default_path(), offline=arguments.offline):
        findings.append(finding)
        if not arguments.json:
            _print(finding)
    return findings


def _doctor(arguments: argparse.Namespace) -> int:
    findings = asyncio.run(_examined(arguments))
    code = doctor.exit_code(findings)
    if arguments.json:
        output.document({"ok": code == 0, "findings": [asdict(each) for each in findings]})
    else:
        output.text(_summary([finding.level for finding in findings]))
    return code


COMMANDS: Final = (
    Command("doctor", "Check an installation, running or stopped.", _doctor,
            (option("--offline", action="store_true", help="do not connect to providers"),),
            prints_data=True),
)
