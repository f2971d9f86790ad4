"""Canary reports: sign and publish.

Law: each report is an audit event as well, so that one that is left out is missed.
"""

from __future__ import annotations

from relayd.control import audit
from relayd.core.actor import SHELL, Actor
from relayd.core.canary_report import Run, canonical, copies, report, signed
from relayd.store import canary as store_canary
from relayd.store.db import Database
from relayd.store.signing import Signer


async def publish(
    db: Database, signer: Signer, run: Run, now_ms: int, actor: Actor = SHELL,
) -> dict[str, object]:
    """Signs the run's report and puts it where the console reads it; returns the report."""
    made = report(run)
    async with db.writing() as transaction:
        await audit.append(transaction, actor, "canary.report", None, now_ms, details={
            "requests": len(run.played), "copies": copies(run.searched),
            "memory": run.memory == "searched"})
    document = signed(made, signer.public, signer.sign(canonical(made)))
    store_canary.write(db.directory, document)
    return made
