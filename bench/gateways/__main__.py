"""`python -m bench.gateways` (`make bench-peers`): relayd beside other proxies and gateways."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import uvloop

from bench import nginx, plot, process, report, result
from bench.gateways import install, measure, running, table
from bench.gateways.catalogue import BY_NAME, ENTRIES, Entry
from bench.gateways.launch import LAUNCHES, Site
from bench.gateways.measure import FULL, QUICK, Plan
from bench.peers import NGINX, Field, ground
from bench.process import NotStarted
from bench.result import Kept, Outcome
from bench.settings import FULL as GROUND_SETTINGS, OUT

BEGIN: Final = "<!-- peers: written by make bench-peers -->"
END: Final = "<!-- end of peers -->"
QUESTION: Final = "peers"
PLOT: Final = Path(__file__).resolve().parents[1] / "peers.svg"


def main(words: Sequence[str] | None = None) -> int:
    """0; 1 where not even relayd took part."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateways", description=__doc__)
    parser.add_argument("peers", nargs="*", choices=[[], *BY_NAME], help="default: all")
    parser.add_argument("--quick", dest="plan", action="store_const", const=QUICK, default=FULL,
                        help="one short round; publishes nothing")
    parser.add_argument("--install", action="store_true", help="only install the peers")
    parser.add_argument("--report", action="store_true", help="only from what was measured")
    arguments = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process.raise_file_limit()
    entries = [each for each in ENTRIES if not arguments.peers or each.name in arguments.peers]
    if arguments.install:
        return _install(entries)
    plan: Plan = arguments.plan
    if arguments.peers:
        # a part never takes the place of the whole
        plan = replace(plan, name=f"{plan.name}-some")
    folder = OUT / plan.name
    if not arguments.report:
        started = time.monotonic()
        result.write(run(plan, entries), folder, asdict(plan))
        print(f"peers: {time.monotonic() - started:.0f} s", file=sys.stderr)
    kept = result.read(folder / f"{QUESTION}.json")
    print(table.text(kept))
    if plan is FULL:
        publish(kept)
    return int("relayd" in kept.skipped)


def run(plan: Plan, entries: list[Entry]) -> Outcome:
    """Installs and starts the peers, runs the rounds, ends the peers."""
    settings = replace(GROUND_SETTINGS, name=plan.name)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        # nginx's worker is another user, and the way to its folder leads through this one
        Path(folder).chmod(0o755)
        base = stack.enter_context(ground(Path(folder, "run"), settings))
        field = running.start_all(stack, base, entries, install.cache_folder())
        samples = uvloop.run(measure.story(base, field, plan))
        versions = _versions(field)
    return Outcome(QUESTION, samples, field.skipped, versions)


def publish(kept: Kept) -> None:
    """Writes the section of README.md and the plot."""
    report.README.write_text(report.fill(
        report.README.read_text("utf-8"), table.text(kept), BEGIN, END), "utf-8")
    columns = [(title, table.least(kept.samples, figure)) for figure, title in table.CPU]
    if not plot.draw_rows(columns, PLOT):
        print("No plot: matplotlib is not installed (pip install -e '.[bench]').")


def _install(entries: Sequence[Entry]) -> int:
    for entry in entries:
        try:
            print(f"{entry.name}: {install.ready(entry, install.cache_folder())}")
        except NotStarted as reason:
            print(f"{entry.name}: {reason}")
    return 0


def _versions(field: Field) -> dict[str, str]:
    """Of the peers that no registry pins."""
    found = {}
    names = {peer.name for peer in field.peers}
    if NGINX in names:
        found[NGINX] = nginx.version(nginx.binary(GROUND_SETTINGS.cache))
    if "haproxy" in names:
        found["haproxy"] = _haproxy_version()
    return found


def _haproxy_version() -> str:
    """`2.6.12-1+deb12u4`, of the binary that ran."""
    home = install.cache_folder() / "haproxy"
    site = Site(home, home, 1, 1, 1)
    started = LAUNCHES["haproxy"](site)
    said = subprocess.run([started.command[0], "-v"], capture_output=True, text=True, timeout=10,
                          env={**os.environ, **started.environ}).stdout.split()
    return said[2] if len(said) > 2 else "unknown"


if __name__ == "__main__":
    sys.exit(main())
