"""What the console works with: `app` builds it once, handlers reach it through their visit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relayd.console.frame import Frame
from relayd.console.route import Route
from relayd.ops.clock import unix_ms
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.store.db import Database

Facts = Mapping[str, object]


def _no_facts() -> Facts:
    return {}


@dataclass(slots=True)
class Services:
    """`config` gives the present configuration. `relay` gives what the running relay knows of
    itself (providers' health, calls under way, journal), as plain data; nothing where none runs.
    """

    db: Database
    config: Callable[[], Config]
    logger: Logger
    now_ms: Callable[[], int] = unix_ms
    relay: Callable[[], Facts] = _no_facts
    frame: Frame = Frame()
    routes: tuple[Route, ...] = ()
