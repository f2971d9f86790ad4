"""What is kept of a call: closed words and figures, and none of what the client or provider said.

tests/privacy/test_canary.py asks the same of a whole process, through every failure.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

import relayd
from relayd.core.errors import ERRORS
from relayd.core.record import CallRecord
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, TARGET
from tests.privacy.canary import CONTENT, IDENTITY, chat, found_below, found_in, request
from tests.relay.conftest import Opened, opened

__all__ = ["opened"]

ERROR = b'{"error":{"message":"zq7content-error","type":"zq7content-type","code":"zq7identity-c"}}'
IDS = re.compile(r"(?:acct|key|req)_[0-9A-Z]{26}|[0-9A-Z]{26}")
WORDS = frozenset({
    "openai", "anthropic", "gemini", "/v1/chat/completions", "other", "test-model", "unknown",
    "USD",
    "completed", "refused", "provider_error", "reported", "counted", "estimated", "none",
    *ERRORS,
})


def texts(record: CallRecord) -> set[str]:
    return {value for value in msgspec.structs.astuple(record) if isinstance(value, str)}


async def test_I2a_records_have_closed_words_alone(opened: Opened) -> None:
    lane = await opened(patterns=("test-model",))
    lane.upstream.answers.extend([Answer(message(ERROR, status=400))])
    for target, body in ((TARGET, chat(stop=[f"{CONTENT}stop"])),
                         (f"{TARGET}?user={IDENTITY}query", chat()),
                         (TARGET, chat(model=f"{IDENTITY}model")), (TARGET, chat()[:-5]),
                         (f"/v1/{IDENTITY}path", chat())):
        await ask(lane.address, request(target, lane.key, body))
    kept = await lane.settled(5)
    assert {record.status for record in kept} == {200, 400, 404}
    unknown = {text for record in kept for text in texts(record) if not IDS.fullmatch(text)}
    assert unknown <= WORDS
    assert found_below(lane.store) == {} and found_in(lane.log.getvalue().encode()) == []


@pytest.mark.parametrize(("usage", "source"), [
    (b',"usage":{"prompt_tokens":31,"completion_tokens":17,"total_tokens":48,'
     b'"prompt_tokens_details":{"cached_tokens":8}}', "reported"), (b"", "estimated"),
])
async def test_I2c_usage_is_the_provider_s_or_flagged(
    opened: Opened, usage: bytes, source: str,
) -> None:
    body = (b'{"id":"x","object":"chat.completion","created":1,"model":"test-model","choices":'
            b'[{"index":0,"message":{"role":"assistant","content":"four words of it"},'
            b'"finish_reason":"stop"}]' + usage + b"}")
    lane = await opened(lambda _: Answer(message(body)))
    await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    [record] = await lane.settled(1)
    assert record.usage_source == source
    if usage:
        assert (record.input_tokens, record.cache_read_input_tokens, record.output_tokens) == (
            31, 8, 17)
    else:
        assert record.input_tokens > 0 and record.output_tokens > 0


async def test_I2e_attribution_fields_are_neither_kept_nor_sent(opened: Opened) -> None:
    """An application is what the holder calls it at the key; Referer and X-Title are ignored."""
    lane = await opened()
    fields = (("HTTP-Referer", f"https://{IDENTITY}app.example"), ("X-Title", f"{IDENTITY}title"),
              ("Referer", f"https://{IDENTITY}page.example"), ("X-OpenRouter-Title", IDENTITY))
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY, fields=fields))
    assert reply.status == 200
    [record] = await lane.settled(1)
    assert record.app is None and found_below(lane.store) == {}
    assert found_in(b"".join(bytes(data) for data in lane.upstream.received)) == []
    [sent] = lane.upstream.requests
    assert not {b"http-referer", b"x-title", b"referer"} & {
        name.lower() for name, _ in sent.fields}


def test_P2_what_sees_bodies_can_neither_log_nor_store() -> None:
    """The data plane and the wire import no store; a logger is made by the plane alone."""
    forbidden = re.compile(r"relayd\.(?:store|control|jobs|console|ops\.logging)|logging|sqlite3"
                           r"|aiosqlite|tempfile|shelve|pickle")
    found = {}
    root = Path(relayd.__file__).parent
    for path in [*(root / "relay").glob("*.py"), *(root / "wire").glob("*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                  for alias in node.names}
        if bad := {name for name in names if forbidden.match(name)}:
            found[path.name] = bad
    assert found == {"plane.py": {"relayd.ops.logging"}}
