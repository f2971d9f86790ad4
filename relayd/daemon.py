"""The life of the daemon: loop, signals, one app, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

import uvloop

from relayd.app import App
from relayd.ops.config import Config
from relayd.ops.configfile import Reading, notify_socket
from relayd.ops.configfile_fault import Fault
from relayd.ops.early import Asked
from relayd.ops.logging import Capture, Logger
from relayd.ops.process import favour_loop, forbid_dumps, raise_file_limit, settle_memory
from relayd.ops.systemd import Notifier
from relayd.ops.tasks import Tasks

SERVING: Final = "Serving."
SERVING_AS_BEFORE: Final = "Serving as before: the new configuration has faults (see the log)."
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
IGNORED_SIGNALS: Final = (signal.SIGUSR1, signal.SIGUSR2)
"""Other daemons open their logs again at these; who sends them here out of habit ends no call."""
_CHANGED: Final = Fault(
    "", None, "a certificate, its key or a ca_file was changed since it was checked, and cannot be"
    " used", "Reload again once the files of [server] tls and of ca_file are whole")
Running = Callable[[Logger], AbstractAsyncContextManager[App]]
"""Gives a started app, and does what is due before and after it."""


Reread = Callable[[], Reading]
"""Reads the configuration again, for SIGHUP."""


def run(running: Running, log_level: str, reread: Reread | None = None,
        asked: Asked | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns 0, or 1 where the disks took no records at the end.

    SIGHUP reloads, where there is what to reread; `asked` says whether one came before there was
    a loop.

    Raises what keeps the app from starting: OSError of a listener, StoreError of the store.
    """
    logger = Logger(log_level)
    capture = Capture(logger)
    capture.start()
    raise_file_limit()
    forbid_dumps()
    favour_loop()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(capture.of_loop)
            unsaved = runner.run(_serve(running, logger, reread, asked))
    finally:
        capture.stop()
    return 1 if unsaved else 0


async def _serve(
    running: Running, logger: Logger, reread: Reread | None, before: Asked | None,
) -> bool:
    """Runs the app; a second signal ends the drain at once, still with every record kept.

    Returns whether records are lost.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    hurry = asyncio.Event()

    def stop() -> None:
        (hurry if asked.is_set() else asked).set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    for number in IGNORED_SIGNALS:
        loop.add_signal_handler(
            number, partial(logger.warning, "signal_ignored", signal=number.name.lower()))
    notifier = Notifier(*notify_socket())
    reloads = Reloads(reread, logger, notifier)
    # from here on, and in a drain, the signal must not end the process
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)
    if before:
        reloads.ask()
    async with running(logger) as app:
        app.hurry = hurry.is_set
        settle_memory()
        notifier.ready(SERVING)
        notifier.watch(app.alive)
        reloads.begin(app)
        await asked.wait()
        await reloads.end()
        # the watchdog goes on: a drain may take longer than its period
        notifier.stopping("Draining: running calls finish, then every record is stored.")
    notifier.close()
    return app.unsaved


class Reloads:
    """What SIGHUP asks for, once there is an app and until it ends. The file is read on a thread:
    with some thousands of prices it takes half a second, and calls go on beside it."""

    def __init__(self, reread: Reread | None, logger: Logger, notifier: Notifier) -> None:
        self._reread = reread
        self._logger = logger
        self._notifier = notifier
        self._tasks = Tasks(logger.fault)
        self._app: App | None = None
        self._asked = self._reading = self._ended = False

    def ask(self) -> None:
        """The signal: the file is to be read after this moment."""
        if self._reread is None or self._ended:
            self._logger.warning("reload_not_possible")
            return
        self._asked = True
        self._go_on()

    def begin(self, app: App) -> None:
        """The app is there; what it was started with is old where somebody has asked since."""
        self._app = app
        self._go_on()

    async def end(self) -> None:
        """Takes nothing new any more."""
        self._ended = True
        await self._tasks.close()

    def _go_on(self) -> None:
        if self._app is None or self._reread is None or self._reading or self._ended:
            return
        if self._asked:
            self._asked, self._reading = False, True
            self._tasks.spawn("reload", self._reload(self._app, self._reread))

    async def _reload(self, app: App, reread: Reread) -> None:
        self._notifier.reloading()
        done = False
        try:
            done = take(app, await asyncio.to_thread(reread), self._logger)
        finally:
            self._notifier.ready(SERVING if done else SERVING_AS_BEFORE)
            self._reading = False
            self._go_on()


def take(app: App, reading: Reading, logger: Logger) -> bool:
    """Takes the configuration anew; one that does not check leaves the old one running: False."""
    for warning in reading.warnings:
        logger.warning("config_warning", finding=warning)
    for fault in reading.faults:
        logger.error("reload_refused", finding=fault)
    if reading.config is not None:
        try:
            fixed = app.reload(reading.config)
        except (OSError, ValueError):  # they have changed since they were checked
            logger.error("reload_refused", finding=_CHANGED)
        else:
            for name in fixed:
                logger.warning("reload_needs_restart", part=name)
            logger.event("reloaded", providers=len(app.config.providers),
                         routes=len(app.config.routes))
            app.metrics.reloaded(True)
            return True
    app.metrics.reloaded(False)
    return False


def configured(
    config: Config, systemd_sockets: int = 0, *, memory_wiped: bool = False,
) -> Running:
    """An app of this configuration and nothing else."""

    @asynccontextmanager
    async def running(logger: Logger) -> AsyncIterator[App]:
        app = App(config, logger=logger, systemd_sockets=systemd_sockets,
                  memory_wiped=memory_wiped)
        try:
            await app.start()
            yield app
        finally:
            await app.stop()

    return running
