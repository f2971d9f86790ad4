"""How SQLite would find the rows of what is asked: the plan of every statement that runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from relayd.store import connection
from relayd.store.connection import Statement


@contextmanager
def plans() -> Iterator[list[str]]:
    """The steps of the plans of what runs inside the block, those of its writes as well."""
    found: list[str] = []
    run_all, run_last = connection._run_all, connection._run_last

    def note(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> None:
        if sql.lstrip().startswith(("SELECT", "WITH", "DELETE", "UPDATE")):
            found.extend(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))

    def all_noted(db: sqlite3.Connection, statements: Sequence[Statement]) -> list[int]:
        for sql, rows in statements:
            for values in rows or ():
                note(db, sql, values)
        return run_all(db, statements)

    def last_noted(
        db: sqlite3.Connection, before: Sequence[Statement], sql: str, values: Sequence[Any],
    ) -> tuple[list[tuple[Any, ...]], int]:
        done = run_last(db, before, sql, values)
        note(db, sql, values)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_run_all", all_noted)
        patch.setattr(connection, "_run_last", last_noted)
        yield found


def whole(steps: Sequence[str]) -> list[str]:
    """Those that read a table from end to end, or sort what they have found."""
    return [step for step in steps if _reads_table(step) or step == "USE TEMP B-TREE FOR ORDER BY"]


def _reads_table(step: str) -> bool:
    # what stands in brackets is a part of the query, and an index of what waits is short
    return (step.startswith("SCAN ") and not step.startswith(("SCAN (", "SCAN CONSTANT"))
            and "VIRTUAL TABLE" not in step and not step.endswith("_pending"))
