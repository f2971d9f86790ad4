"""docs/configuration.md is what the reader of the configuration file takes, and has a meaning for
every key of it.
"""

from __future__ import annotations

import re

from relayd.ops.config import ServerConfig
from relayd.ops.configfile_listener import INTEGERS, NUMBERS
from tools.configuration import PAGE, keys, needs_restart, page


def test_the_page_is_generated() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tools.configuration"


def test_every_key_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| `(.+)` \|(.*)\|$", page(), re.MULTILINE)
    assert len(rows) > 80
    assert [row for row in rows if len(row[3].replace("**R**", "").strip()) < 8] == []


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
    assert not needs_restart(known["limits", "concurrent"])
