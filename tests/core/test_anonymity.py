"""k-anonymity: small cells are left out, and no total gives them away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.anonymity import K, Cell, publishable


def test_U4_a_cell_with_nine_accounts_is_suppressed() -> None:
    shown = publishable({"a": Cell(9, 900, 90), "b": Cell(10, 100, 10), "c": Cell(30, 5, 1)})
    assert list(shown.cells) == ["b", "c"] and K == 10
    assert (shown.suppressed, shown.calls, shown.tokens) == (1, 105, 11)


@given(st.dictionaries(st.text(max_size=3), st.builds(
    Cell, st.integers(0, 20), st.integers(0, 99), st.integers(0, 99))))
def test_totals_are_of_what_is_shown(cells: dict[str, Cell]) -> None:
    shown = publishable(cells)
    assert all(cell.accounts >= K for cell in shown.cells.values())
    assert shown.suppressed == len(cells) - len(shown.cells)
    assert shown.calls == sum(cell.calls for cell in shown.cells.values())
    assert shown.tokens == sum(cell.tokens for cell in shown.cells.values())
