"""`python -m bench.probed_relayd OUT WORDS...`: relayd, with a watch on its event loop.

A probe asks to be run again after each millisecond. Where it was more than a millisecond late,
the moment and the lag, in nanoseconds of CLOCK_MONOTONIC, are written to OUT at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from relayd import daemon
from relayd.app import App
from relayd.cli import main

EVERY_NS: Final = 1_000_000
NOTED_NS: Final = 1_000_000
LAGS: list[tuple[int, int]] = []


async def probe() -> None:
    """Until the loop ends."""
    while True:
        due = time.monotonic_ns() + EVERY_NS
        await asyncio.sleep(EVERY_NS / 1e9)
        now = time.monotonic_ns()
        if now - due > NOTED_NS:
            LAGS.append((now, now - due))


class Probed(App):
    """The app, probed from its start on."""

    async def start(self) -> None:
        """As ever."""
        await super().start()
        self.probe = asyncio.get_running_loop().create_task(probe())


if __name__ == "__main__":
    daemon.App = Probed  # type: ignore[misc]
    code = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(LAGS), "utf-8")
    sys.exit(code)
