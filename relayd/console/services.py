"""What the console works with: `app` builds it once, handlers reach it through their visit."""

from __future__ import annotations

from asyncio import Semaphore
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from relayd.console.frame import Frame
from relayd.console.route import Route
from relayd.control.door import Door
from relayd.control.issuer import ByHand, Issuer
from relayd.control.partner import Payments, payments
from relayd.control.transparency import Figures
from relayd.core.fleet import NO_FLEET, Fleet
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.config import Config
from relayd.ops.config_payments import PaymentsConfig
from relayd.ops.logging import Logger
from relayd.ops.metrics_gauges import Gauges
from relayd.ops.notice import Notices
from relayd.store.db import Database


LARGE_MESSAGES_MAX: Final = 4


def _no_fleet() -> Fleet:
    return NO_FLEET


def _unbound() -> tuple[str, int]:
    return "127.0.0.1", 0


def _nobody() -> None:
    """There is no relay to tell."""


def _no_payments() -> Payments:
    return payments(PaymentsConfig(), "")


@dataclass(slots=True)
class Services:
    """`config` gives the present configuration, `relay` how providers and routes stand in the
    running relay, `door` is what signing in needs. `gauges` are what the relay's metrics read;
    `bound` is the (host, port) that the relay listens on; `payments` are the ways to pay,
    `issuer` is who issues fapiao, `messages` counts what partners said by what it came to;
    `changed()` says that keys or accounts may have been. `figures` are those that anybody may ask
    for; `large_messages` are those of partners that are read at a time; `notices` are warnings
    that strangers can cause as often as they like.
    """

    db: Database
    door: Door
    config: Callable[[], Config]
    logger: Logger
    now_ms: Callable[[], int] = unix_ms
    relay: Callable[[], Fleet] = _no_fleet
    gauges: Gauges = field(default_factory=Gauges)
    bound: Callable[[], tuple[str, int]] = _unbound
    payments: Callable[[], Payments] = _no_payments
    issuer: Callable[[], Issuer] = ByHand
    messages: Counter[str] = field(default_factory=Counter)
    changed: Callable[[], None] = _nobody
    frame: Frame = Frame()
    routes: tuple[Route, ...] = ()
    figures: Figures = field(default_factory=Figures)
    large_messages: Semaphore = field(default_factory=lambda: Semaphore(LARGE_MESSAGES_MAX))
    notices: Notices = field(init=False)

    def __post_init__(self) -> None:
        self.notices = Notices(self.logger, monotonic)
