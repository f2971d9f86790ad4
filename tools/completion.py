"""Writes the completion of bash for `relayd`, from the table of commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from relayd.cli import GROUPS, commands
from relayd.cli_command import Command
from tools.manual import options

FILES: Final = ("-c", "--config")
"""Options whose value is a file."""
TEXT: Final = """\
# bash completion for relayd(1). Written from the program's own table of commands.
_relayd() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local first="" second="" each skip=""
    for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ -n $skip ]]; then skip=""; continue; fi
        case $each in
            -c|--config) skip=1 ;;
            -*) ;;
            *) if [[ -z $first ]]; then first=$each
               elif [[ -z $second ]]; then second=$each; fi ;;
        esac
    done
    case $before in
        {files}) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    case "$first $second" in
{choices}
        *) COMPREPLY=() ; return ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -F _relayd relayd
"""


def flags(command: Command) -> list[str]:
    """The options of a command; a positional argument is nothing to complete."""
    return [flag for option in options(command) for flag in option.flags if flag.startswith("-")]


def _case(pattern: str, words: Iterable[str]) -> str:
    return f'        {pattern}) local words="{" ".join(words)}" ;;'


def script() -> str:
    """The whole file."""
    top = [command.name for command in commands() if " " not in command.name]
    cases = [_case('" "', [*top, *GROUPS, "-c", "--config", "--help"])]
    for group in GROUPS:
        words = [name.partition(" ")[2] for name in (c.name for c in commands())
                 if name.startswith(f"{group} ")]
        cases.append(_case(f'"{group} "', [*words, "--help"]))
    for command in commands():
        # behind a command's name stands whatever its arguments are
        pattern = f'"{command.name}"' if " " in command.name else f'"{command.name} "*'
        cases.append(_case(pattern, [*flags(command), "--help"]))
    return TEXT.format(files="|".join(FILES), choices="\n".join(cases))
