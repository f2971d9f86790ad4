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
from relayd.ops.logging import Capture, Logger
from relayd.ops.process import favour_loop, forbid_dumps, raise_file_limit, settle_memory
from relayd.ops.systemd import Notifier

SERVING: Final = "Serving."
SERVING_AS_BEFORE: Final = "Serving as before: the new configuration has faults (see the log)."
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
Running = Callable[[Logger], AbstractAsyncContextManager[App]]
"""Gives a started app, and does what is due before and after it."""


Reread = Callable[[], Reading]
"""Reads the configuration again, for SIGHUP."""


def run(running: Running, log_level: str, reread: Reread | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns 0. SIGHUP reloads, where there is what to reread.

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
            runner.run(_serve(running, logger, reread))
    finally:
        capture.stop()
    return 0


async def _serve(running: Running, logger: Logger, reread: Reread | None) -> None:
    """Runs the app; a second signal ends the drain at once, still with every record kept."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    hurry = asyncio.Event()

    def stop() -> None:
        (hurry if asked.is_set() else asked).set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    notifier = Notifier(*notify_socket())
    changed = asyncio.Event()
    # where there is no file, and in a drain, the signal must not end the process
    not_possible: Callable[[], None] = partial(logger.warning, "reload_not_possible")
    loop.add_signal_handler(signal.SIGHUP, not_possible if reread is None else changed.set)
    async with running(logger) as app:
        if reread is not None:
            loop.add_signal_handler(signal.SIGHUP, _reload, app, reread, logger, notifier)
        app.hurry = hurry.is_set
        settle_memory()
        notifier.ready(SERVING)
        notifier.watch(app.alive)
        if changed.is_set() and reread is not None:  # what was read at the start is old
            _reload(app, reread, logger, notifier)
        await asked.wait()
        loop.add_signal_handler(signal.SIGHUP, not_possible)
        # the watchdog goes on: a drain may take longer than its period
        notifier.stopping("Draining: running calls finish, then every record is stored.")
    notifier.close()


def _reload(app: App, reread: Reread, logger: Logger, notifier: Notifier) -> None:
    notifier.reloading()
    notifier.ready(SERVING if reload(app, reread, logger) else SERVING_AS_BEFORE)


def reload(app: App, reread: Reread, logger: Logger) -> bool:
    """Takes the configuration anew; one that does not check leaves the old one running: False."""
    reading = reread()
    for warning in reading.warnings:
        logger.warning("config_warning", finding=warning)
    for fault in reading.faults:
        logger.error("reload_refused", finding=fault)
    if reading.config is not None:
        try:
            fixed = app.reload(reading.config)
        except OSError as error:
            logger.fault("reload", error)
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
