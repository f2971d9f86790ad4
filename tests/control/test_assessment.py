"""A self-assessment looks at the store as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relayd.control import account, assessment, retention
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.store import canary as store_canary
from relayd.store.db import Database
from relayd.store.signing import open_signer
from tests.fakes.records import START_MS


async def found(db: Database, certificate: str | None = None, days: int = 1) -> dict[str, str]:
    made = await assessment.take(
        db, open_signer(db.directory).public, certificate, START_MS + days * DAY_MS)
    assert await assessment.last(db) == made or len(made.judged) > 1
    return {each.subject: each.level for each in made.judged}


def report(db: Database, **values: object) -> None:
    store_canary.write(db.directory, json.dumps({"report": {
        "ended_at": rfc3339(START_MS), "clean": True, **values}}).encode())


async def test_D4_every_subject_is_looked_at(db: Database, tmp_path: Path) -> None:
    await account.create(db, "ann@example.org", None, START_MS)
    await retention.note(db, "tickets", 0, START_MS)
    report(db)
    levels = await found(db, str(tmp_path / "no.pem"))
    assert levels["certificate"] == "fail"
    assert {levels[name] for name in ("audit", "retention", "canary")} == {"ok"}
    levels = await found(db, days=40)
    assert (levels["retention"], levels["canary"]) == ("warn", "warn")
    assert "certificate" not in levels


async def test_D4_dependencies_that_nobody_looked_after_are_found(db: Database) -> None:
    assert (await found(db))["dependencies"] == "ok"
    assert (await found(db, days=4000))["dependencies"] == "warn"


async def test_D4_a_bent_audit_log_is_found(db: Database) -> None:
    await account.create(db, "ann@example.org", None, START_MS)
    async with db.writing() as transaction:
        await transaction.run("DROP TRIGGER audit_log_stays")
        await transaction.run("UPDATE audit_log SET target = 'acct_other'")
    assert (await found(db))["audit"] == "fail"


@pytest.mark.parametrize(("document", "level"), [
    (b"x", "fail"), (b"[]", "fail"), (b'{"report":{}}', "fail"),
    (b'{"report":{"clean":true,"ended_at":"x"}}', "warn"),
])
async def test_a_report_that_is_none(db: Database, document: bytes, level: str) -> None:
    store_canary.write(db.directory, document)
    assert (await found(db))["canary"] == level


async def test_a_report_with_findings(db: Database) -> None:
    report(db, clean=False)
    assert (await found(db))["canary"] == "fail"
