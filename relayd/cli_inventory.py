"""The command `relayd inventory`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, configured, option
from relayd.control import inventory


def _inventory(arguments: argparse.Namespace) -> int:
    config = configured(arguments)
    found, terms = inventory.read(), config.retention.terms()
    if arguments.json:
        output.document(inventory.view(found, terms))
    elif arguments.fields:
        output.table(("PLACE", "FIELD", "CATEGORY", "FORM", "FROM", "EXPORT", "ERASURE"), [
            (each.place, each.full_name, each.category, each.form, each.source,
             "yes" if each.export else "no", each.erase) for each in found.fields])
    else:
        output.table(("CATEGORY", "CLASS", "FIELDS", "KEPT", "READERS"), [
            (each.id, each.data_class, len(found.of(each.id)), found.term(each, terms, "en"),
             ", ".join(each.readers) or None) for each in found.categories.values()])
    return DONE


COMMANDS: Final = (
    Command("inventory", "Print what is stored, why, how long, and who may read it.", _inventory,
            (option("--fields", action="store_true", help="every field"),), prints_data=True),
)
