"""The table of commands becomes a parser."""

from __future__ import annotations

import argparse

import pytest

from relayd.cli_command import Command, build_parser, option


def run(arguments: argparse.Namespace) -> int:
    return 7


TABLE = (
    Command("solo", "One word.", run, (
        option("--flag", action="store_true", help="f"), option("--one"),
        option("--each", action="append"), option("--some", nargs="+"), option("word", nargs="?"),
    )),
    Command("group one", "Two words.", run, prints_data=True),
)
PARSER = build_parser("program", "What it is.", {"group": "A group."}, TABLE)


@pytest.mark.parametrize("words, config", [
    (["solo"], None), (["-c", "a", "solo"], "a"), (["solo", "-c", "b"], "b"),
    (["-c", "a", "solo", "-c", "b"], "b"), (["group", "one", "--config", "b"], "b"),
])
def test_the_configuration_may_be_named_before_or_after(
    words: list[str], config: str | None
) -> None:
    arguments = PARSER.parse_args(words)
    assert arguments.config == config and arguments.run(arguments) == 7


@pytest.mark.parametrize("words", [
    [], ["group"], ["nonsense"], ["solo", "--json"], ["solo", "--fl"], ["group", "two"],
    ["solo", "--one=--"], ["solo", "--one=a", "--each=--"], ["solo", "-c--"],
    ["solo", "--some=--"],
])
def test_what_is_not_in_the_table_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        PARSER.parse_args(words)
    assert ended.value.code == 2 and "usage: program" in capsys.readouterr().err


def test_words_behind_two_dashes_are_no_options() -> None:
    assert PARSER.parse_args(["solo", "--one=a", "--", "--one=b"]).word == "--one=b"


def test_only_commands_that_print_data_take_json() -> None:
    assert PARSER.parse_args(["group", "one", "--json"]).json
