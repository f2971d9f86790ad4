"""The command `relayd retention`: how long what is kept, why, and what the last sweep did."""

from __future__ import annotations

import argparse
from typing import Any, Final

from relayd import cli_output as output
from relayd.cli_command import DONE, Command, option
from relayd.cli_store import in_configured_store
from relayd.control import retention
from relayd.jobs.retention import Retention
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.store.db import Database


async def _retention(db: Database, arguments: argparse.Namespace, config: Config) -> int:
    terms = config.retention.terms()
    if arguments.sweep:
        await Retention(db, lambda: terms, log=Logger("error")).look()
    found: list[dict[str, Any]] = await retention.schedule(db, terms)
    if arguments.json:
        output.document(found)
        return DONE
    output.table(
        ("CATEGORY", "TERM", "FLOOR", "AFTER", "THEN", "LAST SWEEP", "ROWS", "ALL ROWS"),
        [(each["category"], f"{each['term']} {each['unit']}", f"{each['floor']} {each['unit']}",
          each["since"], each["action"], *_last(each["last_sweep"])) for each in found])
    return DONE


def _last(swept: dict[str, Any] | None) -> tuple[object, object, object]:
    if swept is None:
        return None, None, None
    return swept["at"][:19].replace("T", " ") + "Z", swept["rows"], swept["all_rows"]


COMMANDS: Final = (
    Command("retention", "Show how long each kind of data stays, and the last sweep.",
            in_configured_store(_retention), prints_data=True, options=(
                option("--sweep", action="store_true",
                       help="delete now what is over its term; a daemon does so every "
                            "ten minutes"),
            ), epilog="Terms are chosen under [retention], not below their floors; --json has the"
                      " reasons."),
)
