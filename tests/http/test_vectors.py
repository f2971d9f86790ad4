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
from tests.fakes.rawhttp import Reply
from tests.http.case import Case, names
from tests.http.conftest import Findall
from tests.http.judge_request import NOT_SERVED
from tests.http.play import TARGET, Findings, client_of, play_reply_raw
from tests.http.seen import ClientSide
from tests.shared import shared

LINE = re.compile(rb"\A(?:\r\n)*[A-Z]+ \S+ (HTTP/1\.[01])\r\n")
PASSING = ("2xx", "200", "204", "!101", "non-", "format", "404", "405 +", "drop", "timeout")
DIFFERENT: dict[str, str] = {}
"""Probes that this relay judges in another way: id -> the section that says why."""
HEAD_READ = frozenset({401, 403, 404, 405})
"""Statuses that say that the head was read as a good one."""
READ_AS_HTTP = frozenset({"invalid_json", "missing_model", "invalid_field", ""})
"""Codes of answers to a message that was read to its end."""


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
    seen, found = await _play_request(lane, case, case.raw, keyed=False)
    keyed = with_key(case.raw, lane.key)
    if keyed is None:
        return found
    again, more = await _play_request(lane, case, keyed, keyed=True)
    if case.expect["probe"] and case.expect["wish"] == "reject":
        more += _let_through(seen.first, again.first)
    return found + more


async def _play_request(
    lane: Lane, case: Case, raw: bytes, *, keyed: bool
) -> tuple[ClientSide, list[str]]:
    lane.upstream.reset()
    seen = await client_of(lane, raw)
    found = [f"status {s}" for s in seen.statuses if s >= 500 and s not in NOT_SERVED]
    found += [f"malformed at the upstream: {rule}" for rule in lane.upstream.malformed]
    if seen.garbage:
        found.append(f"unreadable answer: {seen.garbage}")
    if lane.upstream.requests and (not keyed or case.expect["wish"] == "reject"):
        found.append("reached the upstream")
    return seen, found


def _let_through(plain: Reply | None, keyed: Reply | None) -> list[str]:
    """A request that its probe wants refused as HTTP, and that was read as a good one.

    Without a key and a path that is served, a fault in the body may go unread: the answer to the
    head is final. Then the other request must be refused for it.
    """
    if plain is None or plain.status not in HEAD_READ and plain.status >= 300:
        return []
    if plain.status < 300:
        return [f"let through: {plain.status}"]
    if keyed is None:
        return []
    code = json.loads(keyed.body)["error"]["code"] if keyed.status >= 400 else ""
    return [f"let through: {keyed.status} {code}"] if code in READ_AS_HTTP else []


@pytest.fixture(scope="module")
def findings(play_chosen: Findall) -> Findings:
    return play_chosen(play)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_vector(case: Case, findings: Findings) -> None:
    if case.id in DIFFERENT:
        assert findings[case.id], "judged like the probe by now: take it out of the table"
    else:
        assert findings[case.id] == [], case.why
