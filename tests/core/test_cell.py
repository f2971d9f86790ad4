"""Cells are never formulas."""

from __future__ import annotations

import pytest

from relayd.core.cell import cell


@pytest.mark.parametrize(("value", "text"), (
    (None, ""), (True, "true"), (False, "false"), (-5, "-5"), (1.5, "1.5"), ("plain", "plain"),
    ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"),
    ("a;b-c; d", "a;b-c; d"), ("a;=1+1;b", "a;'=1+1;b"), ("a; \"@x", "a; \"'@x"),
    ("a\r\n＝1", "a\r\n'＝1"), ("=1;=2", "'=1;'=2"),
    (";=1", ";'=1"), ("\n=x", "'\n'=x"),
    ("＝1＋1", "'＝1＋1"), ("＠x", "'＠x"), ("＋1", "'＋1"), ("－1", "'－1")))
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text
