"""The life of the daemon: loop, signals, one app, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import uvloop

from relayd.app import App
from relayd.ops.config import Config
from relayd.ops.configfile_fault import Fault
from relayd.ops.logging import Capture, Logger
from relayd.ops.process import forbid_dumps, raise_file_limit, settle_memory

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
Ready = Callable[[App], Awaitable[None]]


def run(
    config: Config, *, ready: Ready | None = None, systemd_sockets: int = 0,
    warnings: Sequence[Fault] = (),
) -> int:
    """Serves until SIGTERM or SIGINT; `ready` is awaited once requests are taken. Returns 0.

    Raises what keeps the app from starting: OSError of a listener, StoreError of the store.
    """
    logger = Logger(config.log_level)
    capture = Capture(logger)
    capture.start()
    for warning in warnings:
        logger.warning("config_warning", finding=warning)
    raise_file_limit()
    forbid_dumps()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(capture.of_loop)
            runner.run(_serve(App(config, logger=logger, systemd_sockets=systemd_sockets), ready))
    finally:
        capture.stop()
    return 0


async def _serve(app: App, ready: Ready | None) -> None:
    """Runs the app; a second signal ends the drain at once, still with every record kept."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    hurry = asyncio.Event()

    def stop() -> None:
        (hurry if asked.is_set() else asked).set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    # reloading comes with a later version; until then the signal must not end the daemon
    loop.add_signal_handler(signal.SIGHUP, app.logger.warning, "reload_not_supported")
    try:
        await app.start()
        if ready is not None:
            await ready(app)
        settle_memory()
        await asked.wait()
    finally:
        app.hurry = hurry.is_set
        await app.stop()
