"""The cell of a table that people open in a spreadsheet.

Law: a text that a spreadsheet would take for a formula is made text (OWASP, "CSV Injection").
"""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""The last four are what an East Asian keyboard writes: spreadsheets take them for the first."""
_INNER: Final = re.compile(r"([;\t\r\n][\s\"]{0,8})(?=[=+\-@＝＋－＠])")
"""Where a cell begins to spreadsheets of countries that write 1,5: they part cells by semicolons,
and see no quotes within one."""

_HARMLESS: Final = re.compile(r"\w[\w .:/*-]*", re.ASCII).fullmatch
"""What most texts are: nothing in them begins a cell."""


def cell(value: object) -> str:
    """A value as a cell: nothing for None, and never a formula."""
    if type(value) is str and _HARMLESS(value):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = _INNER.sub(r"\1'", str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text
