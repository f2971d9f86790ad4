"""`[prices]` of a configuration: the price file that it names, or the one beside it.

Law: a price file with a fault is a fault of the configuration; without a file there are no prices.
"""

from __future__ import annotations

import os
from typing import Final

from relayd.core.price import NO_PRICES, PriceBook
from relayd.ops.configfile_credential import Surroundings
from relayd.ops.configfile_section import Section
from relayd.ops.pricefile import read_price_file

DEFAULT_FILE: Final = "prices.toml"


def read_price_book(section: Section, around: Surroundings) -> PriceBook:
    """The book of the file; a relative name starts at the configuration file's own folder."""
    name = section.text("file")
    section.done({"path": "file", "book": "file"})
    path = around.file(name or DEFAULT_FILE)
    if name is None and not os.path.exists(path):
        return NO_PRICES
    reading = read_price_file(path)
    for fault in reading.faults:
        place = f"line {fault.line}: " if fault.line is not None else ""
        key = f"{fault.key}: " if fault.key else ""
        section.fault("file", f"{path.name}: {place}{key}{fault.problem}", fault.remedy)
    return reading.book
