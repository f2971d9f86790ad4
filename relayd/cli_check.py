"""The command `relayd check`."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from relayd.cli_command import DONE, Command
from relayd.ops.check import check
from relayd.ops.configfile import default_path


def _check(arguments: argparse.Namespace) -> int:
    code, text = check(arguments.config or default_path(), as_json=arguments.json)
    stream = sys.stdout if arguments.json or code == DONE else sys.stderr
    stream.write(text)
    return code


COMMANDS: Final = (
    Command("check", "Check a configuration: every fault, and what would be right.", _check,
            prints_data=True),
)
