"""Cells are never formulas, and a file has its fields' names first."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from relayd.console.export import cell, csv_bytes, download


@pytest.mark.parametrize(("value", "text"), (
    (None, ""), (True, "true"), (False, "false"), (-5, "-5"), (1.5, "1.5"), ("plain", "plain"),
    ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"),
    ("\n=x", "'\n=x"), ("＝1＋1", "'＝1＋1"), ("＠x", "'＠x"), ("＋1", "'＋1"), ("－1", "'－1")))
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


class Pair(msgspec.Struct):
    """Two fields."""

    a: str
    b: int | None


def test_rows_are_read_as_they_were_written() -> None:
    rows = [Pair('x,"y"\nz', 1), Pair("中", None)]
    found = list(csv.reader(io.StringIO(csv_bytes(Pair, rows).decode(), newline="")))
    assert found == [["a", "b"], ['x,"y"\nz', "1"], ["中", ""]]


def test_a_download_is_kept_as_a_file() -> None:
    answer = download("use.csv", b"a", "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="use.csv"'
    assert answer.content_type == "text/csv"
