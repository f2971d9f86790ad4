"""Self-assessments: look at what must not go unseen, and keep what was found.

Law: looks at what is there already and changes none of it; nobody is asked over the network.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from relayd.control import checkpoint, retention
from relayd.core.assessment import KEPT, Assessment, Known, days_since, judge
from relayd.core.errors import RelayError
from relayd.core.timestamp import parse_past
from relayd.ops import dependencies
from relayd.ops.doctor import certificate_days
from relayd.store import assessment as store_assessment
from relayd.store import canary as store_canary
from relayd.store.db import Database


async def take(
    db: Database, public: bytes, certificate: str | None, now_ms: int,
) -> Assessment:
    """Assess now. `public` is the key of the audit log, `certificate` the listener's file."""
    before = await last(db)
    verdict = await checkpoint.verify(db, {public})
    swept = await retention.noted(db)
    since_ms = db.keyring.since_ms()
    report = _report(db)
    at_ms = None if report is None else _at_ms(report, now_ms)
    # some 40 packages are looked at, each in a file of its own
    chosen_days = await asyncio.to_thread(dependencies.age_days, now_ms)
    made = Assessment(now_ms, judge(Known(
        None if verdict.broken is None else verdict.broken.seq,
        None if certificate is None else certificate_days(certificate, now_ms),
        None if since_ms is None else days_since([since_ms], now_ms),
        days_since([each.at_ms for each in swept.values()], now_ms),
        None if at_ms is None else days_since([at_ms], now_ms),
        report is None or report.get("clean") is True, chosen_days)))
    async with db.writing() as transaction:
        known = await store_assessment.last(transaction)
        if known is not None and known != before:
            return known  # another process was first
        await store_assessment.insert(transaction, made, KEPT)
    return made


async def last(db: Database) -> Assessment | None:
    """The last one that was made."""
    async with db.reading() as transaction:
        return await store_assessment.last(transaction)


def _report(db: Database) -> dict[str, Any] | None:
    document = store_canary.read(db.directory)
    try:
        found = json.loads(document)["report"] if document else None
    except (ValueError, KeyError, TypeError):
        return {}  # a document that is none is not clean
    return found if isinstance(found, dict) or found is None else {}


def _at_ms(report: dict[str, Any], now_ms: int) -> int | None:
    try:
        return parse_past(str(report.get("ended_at")), now_ms, "ended_at")
    except RelayError:
        return None
