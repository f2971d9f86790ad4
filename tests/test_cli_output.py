"""What commands print."""

from __future__ import annotations

import json

import pytest

from relayd import cli_output as output


def test_a_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "N", "MS"), [("a", 1, None), ("longer", 1000, 2.25)])
    assert capsys.readouterr().out == ("NAME       N   MS\n"
                                       "a          1    -\n"
                                       "longer  1000  2.2\n")


def test_a_table_without_rows_has_heads(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_a_document_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"name": "Ö", "n": None})
    assert json.loads(capsys.readouterr().out) == {"name": "Ö", "n": None}


@pytest.mark.parametrize("nano, shown", [
    (0, None), (1, "0.000000001 USD"), (1_500_000_000, "1.50 USD"), (10 ** 12, "1000.00 USD"),
    (123_456_789, "0.123456789 USD"),
])
def test_amounts(nano: int, shown: str | None) -> None:
    assert output.amount(nano, "USD") == shown


def test_moments() -> None:
    assert output.moment(1_767_225_600_999) == "2026-01-01 00:00:00Z"
    assert output.moment(None) is None
