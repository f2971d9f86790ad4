"""The command `relayd top`: a daemon's calls, providers and slowest kinds of calls, live.

Law: reads the ops listener and nothing else. Control sequences go to a terminal alone; into a pipe
each picture is plain text.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, configured, option
from relayd.ops import clock
from relayd.ops.scrape import fetch, samples
from relayd.ops.top import ProviderLine, Reading, SlowLine, Top, reading, top

SECONDS: Final = 2.0
SECONDS_MIN: Final = 0.1
SECONDS_MAX: Final = 3600.0
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_LINE_END: Final = "\x1b[K\n"
_BELOW: Final = "\x1b[J"
_MIB: Final = 1024 * 1024


def render(view: Top) -> list[str]:
    """The picture as lines of text."""
    state = "ready" if view.ready else "NOT READY"
    lines = [
        f"relayd: {state}   {view.in_flight} calls under way   {view.connections} clients   "
        f"CPU {view.cpu_percent:.0f} %   {view.memory_bytes // _MIB} MiB   "
        f"lag {view.lag_ms:.1f} ms",
        f"calls/s {view.calls_per_second:.1f}   failed/s {view.failed_per_second:.1f}   "
        f"refused/s {view.refused_per_second:.1f}   "
        f"tokens/s in {view.input_tokens_per_second:.0f}, out {view.output_tokens_per_second:.0f}"
        f"   not stored yet {view.unflushed_records}   journal {view.journal_bytes // _MIB} MiB",
    ]
    lines += ["", *_table(("PROVIDER", "STATE", "CALLS/S", "FAILED/S", "FIRST BYTE", "P95",
                           "CONNECTIONS"), [_provider(each) for each in view.providers])]
    for title, found in (("SLOWEST ENDPOINTS", view.endpoints), ("SLOWEST MODELS", view.models)):
        if found:
            lines += ["", *_table((title, "OF", "CALLS/S", "MEDIAN", "P95"),
                                  [_slow(each) for each in found])]
    return lines


def _provider(line: ProviderLine) -> tuple[str, ...]:
    state = "up" if line.up else "DOWN"
    if line.up and line.ill_deployments:
        state = f"{line.ill_deployments} ill"
    return (line.name, state, f"{line.attempts_per_second:.1f}", f"{line.failed_per_second:.1f}",
            _time(line.first_byte_p50_ms), _time(line.first_byte_p95_ms), str(line.connections))


def _slow(line: SlowLine) -> tuple[str, ...]:
    return (line.what, line.of, f"{line.per_second:.1f}", _time(line.p50_ms), _time(line.p95_ms))


def _time(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.1f} s"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    return ["  ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                      for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
            for row in (heads, *rows)]


async def _read(listen: str) -> tuple[float, Reading]:
    """When, and what; CommandError where no daemon answers."""
    try:
        status, page = await fetch(listen, "/metrics")
    except (OSError, TimeoutError):
        raise CommandError(f"No daemon answers at {listen} ([ops] listen). Is it running?",
                           FAULT) from None
    except ValueError:
        status, page = 0, ""
    if status != 200 or "relayd_" not in page:
        raise CommandError(f"What answers at {listen} ([ops] listen) is not relayd.", FAULT)
    return clock.monotonic(), reading(samples(page))


async def _once(listen: str, seconds: float) -> Top:
    then, before = await _read(listen)
    await asyncio.sleep(seconds)
    now, after = await _read(listen)
    return top(before, after, now - then)


async def _live(listen: str, seconds: float, terminal: bool) -> None:
    """Pictures until somebody ends it. A daemon that is away is waited for."""
    then, before = await _read(listen)
    while True:
        await asyncio.sleep(seconds)
        try:
            now, after = await _read(listen)
        except CommandError as error:
            _show([str(error)], terminal)
            continue
        _show(render(top(before, after, now - then)), terminal)
        then, before = now, after


def _show(lines: list[str], terminal: bool) -> None:
    if terminal:
        width, height = shutil.get_terminal_size()
        shown = _LINE_END.join(line[:width] for line in lines[:height - 1])
        sys.stdout.write(f"{_HOME}{shown}{_LINE_END}{_BELOW}")
    else:
        sys.stdout.write("\n".join((*lines, "", "")))
    sys.stdout.flush()


def _top(arguments: argparse.Namespace) -> int:
    listen = configured(arguments).ops_listen
    if arguments.json:
        output.document(asdict(asyncio.run(_once(listen, arguments.every))))
        return DONE
    if arguments.once:
        _show(render(asyncio.run(_once(listen, arguments.every))), terminal=False)
        return DONE
    terminal = sys.stdout.isatty()
    if terminal:
        # whoever ends it, the terminal is as it was
        signal.signal(signal.SIGTERM, _end)
        signal.signal(signal.SIGHUP, _end)
    sys.stdout.write(_ENTER if terminal else "")
    try:
        asyncio.run(_live(listen, arguments.every, terminal))
    except KeyboardInterrupt:
        return DONE
    finally:
        sys.stdout.write(_LEAVE if terminal else "")
        sys.stdout.flush()
    return DONE


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if SECONDS_MIN <= (value := float(text)) <= SECONDS_MAX:
            return value
    raise argparse.ArgumentTypeError(f"give {SECONDS_MIN} to {SECONDS_MAX:.0f} seconds")


COMMANDS: Final = (
    Command("top", "Watch a running daemon: calls, tokens, providers, what is slow.", _top,
            prints_data=True, options=(
                option("--every", metavar="S", type=_seconds, default=SECONDS,
                       help="seconds between two updates (default: 2)"),
                option("--once", action="store_true", help="print once and exit"),
            ),
            epilog="Ctrl-C ends it. --json prints once and exits. Rates and times are "
                   "those between two readings."),
)
