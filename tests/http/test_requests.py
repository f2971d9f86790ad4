"""Raw requests of the shared corpus: malformed, ambiguous and unusual ones."""

from __future__ import annotations

import pytest

from tests.http.case import Case, names, read_cases
from tests.http.conftest import Findall
from tests.http.play import Findings, play_request
from tests.shared import shared

CASES = read_cases(shared("http-cases", "requests.jsonl"))

DIFFERENT: dict[str, str] = {}
"""Cases that this relay judges in another way: id -> the section that says why."""


@pytest.fixture(scope="module")
def findings(play_chosen: Findall) -> Findings:
    return play_chosen(play_request)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_request(case: Case, findings: Findings) -> None:
    if case.id in DIFFERENT:
        assert findings[case.id], "judged like the corpus by now: take it out of the table"
    else:
        assert findings[case.id] == [], f"{case.rfc}: {case.why}"
