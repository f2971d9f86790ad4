"""Test vectors of other projects' parsers: no 5xx, not forwarded if rejected, still alive.

They were not written for a relay: they have no key and other paths. So each request is played as
it is, and again with a key and a path that is served; each reply is played as an upstream's.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fakes.daemon import Lane
from tests.http.case import Case, names
from tests.http.conftest import Findall
from tests.http.judge_request import NOT_SERVED
from tests.http.play import TARGET, Findings, client_of, play_reply_raw
from tests.shared import shared

LINE = re.compile(rb"\A(?:\r\n)*[A-Z]+ \S+ (HTTP/1\.[01])\r\n")
PASSING = ("2xx", "200", "204", "!101", "non-", "format", "404", "405 +", "drop", "timeout")
IN_BODY = frozenset({"p-SMUG-CHUNK-BARE-SEMICOLON", "p-SMUG-CHUNK-EXT-INVALID-TOKEN"})
"""Probes whose fault lies in the body, which is not read for a path that is not served."""
LET_THROUGH = frozenset({401, 403, 404, 405})
"""Statuses that say that the head was read: the parser let the request through."""


def _cases() -> list[Case]:
    rows = [json.loads(line) for name in ("parsers-mit.jsonl", "probe-mit.jsonl")
            for line in shared("http-cases", name).read_text("utf-8").splitlines()]
    return [_case(row) for row in rows]


def _case(row: Mapping[str, Any]) -> Case:
    wish = row.get("verdict") or ("any" if _may_pass(row["expected"]) else "reject")
    return Case(
        id=row["id"], name=row["source"].replace(" ", "-"), raw=base64.b64decode(row["raw_b64"]),
        expect={"kind": row["kind"], "wish": wish, "probe": "verdict" not in row},
        after="close", rfc=row.get("rfc", ""), why=row.get("description", row.get("reason", "")),
    )


def _may_pass(expected: str) -> bool:
    """Whether a probe's words allow an answer that is no refusal of the parser."""
    return any(word in expected for word in PASSING)


CASES = _cases()


def with_key(raw: bytes, key: str) -> bytes | None:
    """The request for a path that is served, with a key; None where its first line is no such."""
    match = LINE.match(raw)
    if match is None:
        return None
    line = b"POST " + TARGET.encode() + b" " + match[1] + b"\r\n"
    return line + b"Authorization: Bearer " + key.encode() + b"\r\n" + raw[match.end():]


async def play(lane: Lane, case: Case) -> list[str]:
    if case.expect["kind"] == "response":
        return await play_reply_raw(lane, case)
    found = await _play_request(lane, case, case.raw, keyed=False)
    keyed = with_key(case.raw, lane.key)
    if keyed is not None:
        found += await _play_request(lane, case, keyed, keyed=True)
    return found


async def _play_request(lane: Lane, case: Case, raw: bytes, *, keyed: bool) -> list[str]:
    lane.upstream.reset()
    seen = await client_of(lane, raw)
    found = [f"status {s}" for s in seen.statuses if s >= 500 and s not in NOT_SERVED]
    found += [f"malformed at the upstream: {rule}" for rule in lane.upstream.malformed]
    if seen.garbage:
        found.append(f"unreadable answer: {seen.garbage}")
    if lane.upstream.requests and (not keyed or case.expect["wish"] == "reject"):
        found.append("reached the upstream")
    status = seen.statuses[0] if seen.statuses else 0
    if case.expect["probe"] and case.expect["wish"] == "reject":
        unread = keyed or case.id in IN_BODY
        if 200 <= status < 300 or status in LET_THROUGH and not unread:
            found.append(f"let through: {status}")
    return found


@pytest.fixture(scope="module")
def findings(play_chosen: Findall) -> Findings:
    return play_chosen(play)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_vector(case: Case, findings: Findings) -> None:
    assert findings[case.id] == [], case.why
