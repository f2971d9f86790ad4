"""`python -m bench`: all questions, or the named ones, and the report."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import asdict
from collections.abc import Callable, Sequence
from typing import Final

from bench import process, report, result
from bench.client import Broken
from bench.questions import (
    agent_call, closing, counting, idle, journal, json_call, latency, ledger, memory, metrics,
    slow_peers, sse_event, tls_upstream,
)
from bench.result import Outcome
from bench.settings import FULL, QUICK, SMOKE, Settings

QUESTIONS: Final[dict[str, Callable[[Settings], Outcome]]] = {
    "json": json_call.run, "sse": sse_event.run, "agent": agent_call.run,
    "tls": tls_upstream.run, "latency": latency.run, "memory": memory.run,
    "idle": idle.run, "journal": journal.run, "counting": counting.run,
    "metrics": metrics.run, "ledger": ledger.run,
    "slow": slow_peers.run, "closing": closing.run,
}
LONG: Final = frozenset({"ledger", "slow", "closing"})
"""Asked by name alone: minutes."""


def main(words: Sequence[str] | None = None) -> int:
    """0; 1 where a question could not be answered (the bars of the report do not fail a run)."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("questions", nargs="*", choices=[[], *QUESTIONS, "report"],
                        help="default: all but ledger, slow and closing; report: only what was "
                             "measured")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="settings", action="store_const", const=QUICK,
                      default=FULL, help="fewer rounds: 90 seconds in all")
    size.add_argument("--smoke", dest="settings", action="store_const", const=SMOKE,
                      help="only whether it works")
    arguments = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process.raise_file_limit()
    settings: Settings = arguments.settings
    failed = False
    for name in arguments.questions or [name for name in QUESTIONS if name not in LONG]:
        if name != "report":
            failed |= not _ask(name, settings)
    kept = result.read_all(settings.folder)
    print(report.text(kept))
    if settings is FULL and (not arguments.questions or "report" in arguments.questions):
        report.publish(kept)
    return int(failed)


def _ask(name: str, settings: Settings) -> bool:
    started = time.monotonic()
    try:
        outcome = QUESTIONS[name](settings)
    except (Broken, TimeoutError, process.NotStarted) as error:
        print(f"{name}: {type(error).__name__} {error}", file=sys.stderr)
        return False
    result.write(outcome, settings.folder, asdict(settings))
    print(f"{name}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    return True


if __name__ == "__main__":
    sys.exit(main())
