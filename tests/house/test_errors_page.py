"""docs/errors.md tells every error of the table as it is, and no other."""

from __future__ import annotations

import re

from relayd.core.errors import ERRORS, ErrorKind
from relayd.wire.shapes import OPENAI_CODES
from tests.shared import ROOT

ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| (yes|no) \| (\w+) \| (.+) \| (.+) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, ...]]:
    found = ROW.findall((ROOT / "docs" / "errors.md").read_text("utf-8"))
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: row[1:] for row in found}


def told(kind: ErrorKind) -> tuple[str, ...]:
    return str(kind.status), "yes" if kind.retryable else "no", kind.side, kind.message


def test_every_error_is_told_as_it_is_and_no_other() -> None:
    assert {code: row[:4] for code, row in rows().items()} == {
        code: told(kind) for code, kind in ERRORS.items()}


def test_the_order_is_the_table_s() -> None:
    assert list(rows()) == list(ERRORS)


def test_every_error_has_something_to_do() -> None:
    assert [code for code, row in rows().items() if len(row[4]) < 8] == []


def test_openai_s_own_words_lead_to_the_codes() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    words = {word: set(re.findall(r"`(\w+)`", codes)) for word, codes in re.findall(
        r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|$", page, re.MULTILINE)}
    assert words == {word: {code for code, its in OPENAI_CODES.items() if its == word}
                     for word in OPENAI_CODES.values()}
