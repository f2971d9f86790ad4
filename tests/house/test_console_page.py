"""docs/console.md names every page of the menu, and who may open it."""

from __future__ import annotations

import re

from relayd.console import pages
from relayd.core.actor import ROLES
from tests.shared import ROOT

ROW = re.compile(r"^\| `(/[a-z/]+)` \| ([^|]+) \|", re.MULTILINE)


def test_every_page_of_the_menu_is_told_with_its_roles() -> None:
    told = dict(ROW.findall((ROOT / "docs" / "console.md").read_text("utf-8")))
    assert list(told) == [item.path for item in pages.MENU]
    for item in pages.MENU:
        said = told[item.path]
        roles = set() if said == "every holder" else set(
            ROLES if said == "every role" else said.split(", "))
        assert roles == item.access.roles, item.path
