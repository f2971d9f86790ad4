"""What a command of the shell is: one row with its name, its options and its function.

Law: a command's function takes the parsed arguments and returns an exit code: 0 done, 1 found a
fault, 2 unusable input. `-c` belongs to every command; `--json` to those that print data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relayd import __version__
from relayd.ops import configfile
from relayd.ops.config import Config

DONE: Final = 0
FAULT: Final = 1
UNUSABLE: Final = 2

Run = Callable[[argparse.Namespace], int]


class CommandError(Exception):
    """Ends a command with a sentence on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def configured(arguments: argparse.Namespace) -> Config:
    """The configuration that a command is to use, without providers' credentials, which the
    operator's shell need not have."""
    return configfile.load(arguments.config or configfile.default_path(), secrets="skip")


@dataclass(frozen=True, slots=True)
class Option:
    """One argument, as `ArgumentParser.add_argument` takes it."""

    flags: tuple[str, ...]
    settings: Mapping[str, Any]


def option(*flags: str, **settings: Any) -> Option:
    """An `Option` in the words of argparse."""
    return Option(flags, settings)


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is what is typed; two words where it belongs to a group (`accounts create`)."""

    name: str
    help: str
    run: Run
    options: Sequence[Option] = ()
    prints_data: bool = False
    epilog: str = ""


CONFIG: Final = option(
    "-c", "--config", metavar="FILE", default=argparse.SUPPRESS,
    help="the configuration file (default: $RELAYD_CONFIG, then /etc/relayd/relayd.toml)",
)
JSON: Final = option(
    "--json", action="store_true", help="print one JSON document instead of a table",
)


class _Parser(argparse.ArgumentParser):
    """As argparse's, which in Python 3.11 takes `--option=--` for an empty list."""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        found = super()._get_values(action, arg_strings)
        if found == [] and action.nargs in (None, argparse.ONE_OR_MORE):
            raise argparse.ArgumentError(action, "expected one argument")
        return found


def build_parser(
    program: str, description: str, groups: Mapping[str, str], commands: Sequence[Command]
) -> argparse.ArgumentParser:
    """The parser of a table of commands; `groups` says what each first word is about."""
    parser = _Parser(
        prog=program, description=description, allow_abbrev=False)
    parser.add_argument(*CONFIG.flags, **{**CONFIG.settings, "default": None})
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    top = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    nested = {}
    for command in commands:
        group, _, word = command.name.rpartition(" ")
        if group and group not in nested:
            words = top.add_parser(group, help=groups[group], description=groups[group])
            nested[group] = words.add_subparsers(
                title="commands", metavar="COMMAND", required=True)
        _add(nested[group] if group else top, word, command)
    return parser


def _add(subparsers: Any, word: str, command: Command) -> None:
    parser = subparsers.add_parser(
        word, help=command.help, description=command.help, epilog=command.epilog or None,
        # an abbreviation that works today would break with the next option
        allow_abbrev=False)
    for each in (*command.options, CONFIG, *((JSON,) if command.prints_data else ())):
        parser.add_argument(*each.flags, **each.settings)
    parser.set_defaults(run=command.run)
