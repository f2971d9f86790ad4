"""`python -m bench.probed_relayd OUT WORDS...`: relayd, with a watch on its event loop.

A probe asks to be run again after each millisecond. Where more than two have passed, the moment
and the gap in nanoseconds of CLOCK_MONOTONIC are written to OUT at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from relayd.app import App
from relayd.cli import main

EVERY_SECONDS: Final = 0.001
NOTED_NS: Final = 2_000_000
GAPS: list[tuple[int, int]] = []


async def probe() -> None:
    """Until the loop ends."""
    before = time.monotonic_ns()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        now = time.monotonic_ns()
        if now - before > NOTED_NS:
            GAPS.append((now, now - before))
        before = now


class Probed(App):
    """The app, probed from its start on."""

    async def start(self) -> None:
        """As ever."""
        await super().start()
        self.probe = asyncio.get_running_loop().create_task(probe())


if __name__ == "__main__":
    sys.modules["relayd.daemon"].App = Probed  # type: ignore[attr-defined]
    code = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(GAPS), "utf-8")
    sys.exit(code)
