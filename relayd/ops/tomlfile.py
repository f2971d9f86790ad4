"""A TOML file as a text and as values, or the one fault that keeps it from being read."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Final

from relayd.ops.configfile_fault import Fault
from relayd.ops.readfile import read_file

BYTES_MAX: Final = 4 * 1024 * 1024
_POSITION: Final = re.compile(r"\s*\(at (?:line ([0-9]+), column [0-9]+|end of document)\)\Z")


def file_text(path: str | os.PathLike[str], remedy: str = "") -> str | Fault:
    """The file's text. `remedy` is for a file that cannot be opened."""
    try:
        data, _ = read_file(path, BYTES_MAX + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        return Fault("", None, f"the file {os.fspath(path)} cannot be read: {reason}", remedy)
    if len(data) > BYTES_MAX:
        return Fault("", None, "the file is larger than 4 MiB", "")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")  # editors put a mark before it
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Fault("", line, "the file is not UTF-8", "TOML is always UTF-8")


def parsed(text: str) -> dict[str, object] | Fault:
    """The values of a text."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax_fault(str(error), text)
    except ValueError:  # int()'s own
        return Fault("", None, "the file has a number of thousands of digits", "")
    except RecursionError:
        return Fault("", None, "the file is nested too deeply", "")


def _syntax_fault(message: str, text: str) -> Fault:
    """tomllib says the place at the end of its message, which quotes keys but no values."""
    match = _POSITION.search(message)
    line = int(match[1]) if match and match[1] else text.count("\n") + 1 if match else None
    problem = message[:match.start()] if match else message
    return Fault("", line, f"this is not TOML: {problem}", "")
