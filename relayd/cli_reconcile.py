"""What `relayd usage --drift` and `relayd usage --compare FILE` print."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, CommandError
from relayd.control import reconcile
from relayd.control.reconcile import TOLERANCE, Comparison
from relayd.core.bill import BILL_BYTES_MAX, day_text, read_bill
from relayd.core.drift import Drift
from relayd.relay.tokenizer import encoding_for
from relayd.store.db import Database
from relayd.store.record import CallFilter

_DRIFT_HEADS: Final = ("PROVIDER", "MODEL", "CALLS", "INPUT REPORTED", "COUNTED", "RATIO",
                       "OUTPUT REPORTED", "COUNTED", "RATIO", "TOKENIZER", "VERDICT")
_COMPARE_HEADS: Final = ("DAY", "MODEL", "FIGURE", "BILLED", "RECORDED", "DIFFERENCE", "VERDICT")


async def print_drift(db: Database, arguments: argparse.Namespace, wanted: CallFilter) -> int:
    """Reported against counted, by provider and model; exit code 1 where one is suspicious."""
    found = await reconcile.drift(db, wanted, lambda model: encoding_for(model).exact)
    if arguments.json:
        output.document([reconcile.drift_view(each) for each in found])
    else:
        output.table(_DRIFT_HEADS, [_drift_row(each) for each in found])
    return FAULT if any(each.suspicious for each in found) else DONE


def _drift_row(each: Drift) -> tuple[object, ...]:
    return (each.provider, each.model, each.calls, each.reported_input, each.counted_input,
            _ratio(each.input_ratio), each.reported_output, each.counted_output,
            _ratio(each.output_ratio), "exact" if each.exact else "estimated",
            "SUSPICIOUS" if each.suspicious else "ok")


def _ratio(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


async def print_comparison(db: Database, arguments: argparse.Namespace, wanted: CallFilter) -> int:
    """A bill against the records, by day and model; exit code 1 where they differ."""
    bill = read_bill(_read(arguments.compare))
    tolerance = TOLERANCE if arguments.tolerance is None else arguments.tolerance
    found = await reconcile.compare(db, bill, wanted, arguments.provider or ())
    if arguments.json:
        output.document([reconcile.comparison_view(each, tolerance) for each in found])
    else:
        output.table(_COMPARE_HEADS, [row for each in found for row in _rows(each, tolerance)])
    return FAULT if any(each.differing(tolerance) for each in found) else DONE


def _rows(each: Comparison, tolerance: float) -> list[tuple[object, ...]]:
    differing = each.differing(tolerance)
    return [
        (day_text(each.day_ms), each.model, name, billed, each.recorded[name],
         billed - each.recorded[name], "DIFFERS" if name in differing else "ok")
        for name, billed in each.billed.items()
    ]


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(BILL_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
