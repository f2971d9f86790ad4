"""The work beside the calls: every job of the process and the console, built in one place.

Law: a job is here or it does not run; all of them start after the store is open and stop before
it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from relayd.console import pages
from relayd.console.opening import Opening
from relayd.jobs.audit import Audit
from relayd.jobs.mail import Postman
from relayd.jobs.network import Network
from relayd.jobs.retention import Retention
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.relay.fleet import fleet
from relayd.relay.plane import Plane
from relayd.store.db import Database
from relayd.store.signing import open_signer


class Job(Protocol):
    """What goes on beside the calls, until the store is about to close."""

    def run(self) -> Coroutine[Any, Any, None]:
        """Goes on until `stop`."""

    async def stop(self) -> object:
        """Ends what is under way."""


def jobs(
    db: Database, plane: Plane, config: Callable[[], Config], log: Logger,
) -> dict[str, Job]:
    """Everything but what the calls themselves need. `config` gives the present one."""
    return {
        "retention": Retention(db, lambda: config().retention.terms(), log=log),
        "audit": Audit(db, open_signer(db.directory),
                       lambda now_ms: config().retention.terms().before_ms("audit", now_ms),
                       log=log),
        "network": Network(db, plane.network, log=log),
        "mail": Postman(db, config, log=log),
    }


def console(
    db: Database, plane: Plane, config: Callable[[], Config], log: Logger,
) -> Opening:
    """The console, which opens as soon as its address is free."""
    services = pages.services(db, config, log, lambda: fleet(plane))
    return Opening(pages.console(config().console_listen, services), log=log,
                   close=services.door.hashing.close)
