"""Every recorded exchange goes through the daemon: its body passes, its usage is recorded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.core.usage import Beside, Usage
from tests.fakes.daemon import APIS, Lane, own_loop
from tests.fakes.rawclient import ask
from tests.fakes.rawhttp import Reply
from tests.fakes.rawupstream import Answer
from tests.http.play import lanes
from tests.replay.corpus import Recording, recordings
from tests.shared import known_collection, shared
from tests.wire.test_corpus import usage_of

LANES = 8
RECORDINGS = recordings(shared("corpus", "cases"))
REPLIED = [one for one in RECORDINGS if one.status < 400]
FAILED = [one for one in RECORDINGS if one.status >= 400]

ONCE = Route("*", tuple(Deployment(api) for api in APIS), retries=0)
"""Errors are passed on as they were recorded, and not tried again."""

STATE = "it names content kept at the provider"
REFUSED = {
    "anthropic.messages.json.550e72fb": ("refused_field", STATE),
    "openai.responses.json.696d7f9a": ("refused_field", STATE),
    "openai.responses.stream.c40059fe": ("refused_field", STATE),
    "openai.audio.transcriptions.json.4e74a2e6": ("invalid_multipart", "the recording lacks it"),
    "openai.audio.translations.json.95922760": ("invalid_multipart", "the recording lacks it"),
    "openai.images.edits.json.bba76bd3": ("missing_model", "routes go by the model's name"),
    "openai.images.edits.err.0a83a070": ("unsupported_media_type", "uploads are multipart here"),
    "xai.images.edits.json.620c4b9a": ("unsupported_media_type", "uploads are multipart here"),
}
"""Recorded requests that the relay refuses, with the error and the reason. Their replies are
replayed to a plain request of the same kind."""

REWRITTEN = {
    "openai.chat.completions.err.6ecc9db9": "it shows a part of the operator's credential",
    "openai.responses.err.acaea7a6": "it shows a part of the operator's credential",
    "openrouter.chat.completions.err.25961b58": "its metadata names the operator's own account",
}
"""Errors of which the client gets the relay's own words, and why."""


@dataclass(slots=True)
class Played:
    """What the client got, why the recorded request was refused if it was, the call's record."""

    reply: Reply
    refused: bytes = b""
    record: CallRecord | None = None


async def play(lane: Lane, one: Recording) -> Played:
    """Replays the exchange; where the relay refuses its request, its reply to a plain one."""
    lane.upstream.reset()
    lane.upstream.answers.append(Answer(one.raw_reply(), "segments-4096"))
    reply = await ask(lane.address, one.request(lane.key))
    if lane.upstream.requests:
        return Played(reply)
    again = await ask(lane.address, one.plain_request(lane.key))
    return Played(again, reply.body)


async def play_all(directory: Path, chosen: list[Recording]) -> dict[str, Played | Exception]:
    found: dict[str, Played | Exception] = {}
    waiting = list(reversed(chosen))

    async def work(lane: Lane) -> None:
        mine: list[Played] = []
        while waiting:
            one = waiting.pop()
            try:
                mine.append(await play(lane, one))
                found[one.name] = mine[-1]
            except Exception as fault:  # of this one alone; the others go on
                found[one.name] = fault
        records = {}
        for told in mine:
            call_id = told.reply.value(b"x-request-id")
            if call_id.decode() not in records:
                await lane.record(call_id)
                records = {record.id: record for record in await lane.records()}
            told.record = records.get(call_id.decode())

    async with lanes(directory, LANES, routes=(ONCE,)) as open_lanes:
        await asyncio.gather(*(work(lane) for lane in open_lanes))
    return found


@pytest.fixture(scope="module")
def all_played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Played | Exception]:
    """The exchanges that pytest has chosen, replayed side by side."""
    chosen = {item.callspec.params["one"].name: item.callspec.params["one"]
              for item in request.session.items
              if item.fspath == request.node.fspath and hasattr(item, "callspec")}
    with own_loop() as run:
        return run(play_all(tmp_path_factory.mktemp("replay"), list(chosen.values())))


@pytest.fixture
def played(one: Recording, all_played: dict[str, Played | Exception]) -> Played:
    """What became of this exchange."""
    told = all_played[one.name]
    if isinstance(told, Exception):
        raise told
    return told


def usage_recorded(record: CallRecord) -> Usage:
    return Usage(**{name: getattr(record, name) for name in Usage.__struct_fields__})


def refusal(one: Recording) -> str | None:
    """The type or code that the refusal of this recording's request has; None if it passes."""
    if one.name not in REFUSED:
        return None
    code = REFUSED[one.name][0]
    return "invalid_request_error" if one.endpoint.api == "anthropic" else code


def played_refusal(played: Played) -> str | None:
    if not played.refused:
        return None
    error = json.loads(played.refused)["error"]
    found: str = error.get("code") or error["type"]
    return found


def test_the_corpus_is_there() -> None:
    known_collection("corpus", "cases")
    assert len(REPLIED) > 400 and len(FAILED) > 20
    assert set(REFUSED) <= {one.name for one in RECORDINGS}


@pytest.mark.parametrize("one", REPLIED, ids=lambda one: one.name)
def test_replayed(one: Recording, played: Played) -> None:
    assert refusal(one) == played_refusal(played)
    assert played.reply.status == one.status
    assert played.reply.ended == "complete"
    assert played.reply.body == one.body
    record = played.record
    assert record is not None
    usage = usage_of(one.folder)
    if isinstance(usage, Beside):  # images, seconds that nobody reported: the prompt is counted
        assert (record.usage_source, record.images) == ("estimated", usage.images)
        assert record.input_tokens == record.counted_input_tokens
    elif usage is not None:
        assert (record.usage_source, usage_recorded(record)) == ("reported", usage)
    else:
        assert record.usage_source != "reported"


@pytest.mark.parametrize("one", FAILED, ids=lambda one: one.name)
def test_error_replayed(one: Recording, played: Played) -> None:
    assert refusal(one) == played_refusal(played)
    record = played.record
    assert record is not None
    assert (record.outcome, record.usage_source) == ("provider_error", "none")
    assert played.reply.status == record.status == one.status
    if one.name in REWRITTEN:
        assert set(json.loads(played.reply.body)["error"]) == {"message", "type", "param", "code"}
        assert played.reply.body != one.body
    else:
        assert played.reply.body == one.body
