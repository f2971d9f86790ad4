"""docs/configuration.md is what the reader of the configuration file takes, and has a meaning for
every key of it.
"""

from __future__ import annotations

import re

from relayd.ops.config import ServerConfig
from relayd.ops.configfile_listener import INTEGERS, NUMBERS
from tools.configuration import EXAMPLE, PAGE, keys, meanings, needs_restart, page


def test_the_page_is_generated() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tools.configuration"


def test_every_key_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| `(.+)` \|(.*)\|$", page(), re.MULTILINE)
    assert len(rows) > 80
    assert [row for row in rows if len(row[3].replace("**R**", "").strip()) < 8] == []


def test_what_the_example_names_is_on_the_page() -> None:
    known = {(key.table, key.name) for key in keys()}
    # keys of a table whose head is a comment count to the table before it
    tables = {table for table, _ in known} - {"payments", "operator.hosting"}
    shown = [place for place in meanings(EXAMPLE.read_text("utf-8")) if place[0] in tables]
    assert len(shown) > 80 and [place for place in shown if place not in known] == []


def test_types_ranges_and_defaults_are_the_reader_s() -> None:
    known = {(key.table, key.name): key for key in keys()}
    for name, (low, high) in INTEGERS.items():
        key = known["server", name]
        assert key.kind == f"whole number, {low} to {high}"
        assert key.default == str(getattr(ServerConfig(), name))
    assert {("server", name) for name in NUMBERS} <= known.keys()
    assert known["store", "shared"].default == "false"
    assert known["providers.NAME", "base_url"].default == "required"
    assert needs_restart(known["store", "path"]) and needs_restart(known["server", "listen"])
    assert needs_restart(known["console", "redirect"])
    assert needs_restart(known["privacy", "wipe_memory"])
    assert not needs_restart(known["privacy", "training"])
    assert not needs_restart(known["limits", "concurrent"])


def test_a_default_that_depends_is_not_told_as_the_example_s() -> None:
    known = {(key.table, key.name): key.default for key in keys()}
    assert known["providers.NAME", "trains"] == "by its host"
    assert known["providers.NAME", "zdr"] == "false"
    assert known['routes."MODEL".deployments', "retention_days"] == "the provider's"
    assert "| by its kind |" in page()
