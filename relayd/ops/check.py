"""`relayd check`: what is wrong with a configuration, for people or for programs.

Law: opens the files that the configuration names and contacts nobody.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Final

import orjson

from relayd.ops.config import Config
from relayd.ops.configfile import Reading, examine

USABLE: Final = 0
UNUSABLE: Final = 2


def check(path: str | os.PathLike[str], *, as_json: bool = False) -> tuple[int, str]:
    """(exit code, text to print, with its last line break). Exit 0 also with warnings."""
    name = os.fspath(path)
    reading = examine(path, secrets="examine")
    code = UNUSABLE if reading.faults else USABLE
    return code, (_document if as_json else _sentences)(name, reading)


def _document(name: str, reading: Reading) -> str:
    value = {"file": name, "usable": not reading.faults,
             "faults": [asdict(fault) for fault in reading.faults],
             "warnings": [asdict(warning) for warning in reading.warnings]}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _sentences(name: str, reading: Reading) -> str:
    lines = [f"fault: {fault}" for fault in reading.faults]
    lines += [f"warning: {warning}" for warning in reading.warnings]
    if reading.config is None:
        lines.append(f"{name}: not usable: {_count(len(reading.faults), 'fault')}")
    else:
        lines.append(f"{name}: usable: {_summary(reading.config)}")
    return "\n".join(lines) + "\n"


def _summary(config: Config) -> str:
    listen = ", ".join(config.server.listen)
    return (f"{_count(len(config.providers), 'provider')}, {_count(len(config.routes), 'route')}, "
            f"listens on {listen}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
