"""The file of the data inventory, as it is shipped."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Final

from relayd.core.inventory import Inventory, parse

FILE_NAME: Final = "inventory.toml"


def read() -> Inventory:
    """The inventory of this version."""
    text = files("relayd.store").joinpath(FILE_NAME).read_text("utf-8")
    return parse(tomllib.loads(text))
