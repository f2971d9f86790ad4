"""Bodies of very many small values are read by a thread: the answer is the same, others go on."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from typing import Any

import pytest

from relayd.relay import counting, handler
from relayd.wire import body
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.stepped import vanish
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

THREADS: list[str] = []


def dense(*more: object) -> bytes:
    """Many lists, and what else a message holds."""
    return json.dumps({"model": "test-model", "user": "bob", "messages": [
        {"role": "user", "content": [[]] * 2000, **dict.fromkeys(more, "x")}]}).encode()


@pytest.fixture(autouse=True)
def _short_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    read = handler._read_dense

    def noted(*arguments: Any) -> Any:
        THREADS.append(threading.current_thread().name)
        return read(*arguments)

    THREADS.clear()
    monkeypatch.setattr(body, "DENSE_BYTES_MIN", 1000)
    monkeypatch.setattr(body, "DENSE_MIN", 1000)
    monkeypatch.setattr(handler, "_read_dense", noted)


def gzipped(lane: Lane, raw: bytes) -> bytes:
    made = zlib.compressobj(wbits=31)
    return request_bytes(TARGET, lane.key, made.compress(raw) + made.flush(),
                         fields=(("Content-Encoding", "gzip"),))


@pytest.mark.parametrize("pace", ["once", "segments-3000"])
async def test_it_is_answered_as_any_other(opened: Opened, pace: str) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        for raw in (request_bytes(TARGET, lane.key, dense("user_id")),
                    gzipped(lane, dense("user_id")), request_bytes(TARGET, lane.key, BODY)):
            await client.send(raw, pace)
            assert (await client.final_reply()).status == 200
    sent = [json.loads(request.body) for request in lane.upstream.requests]
    assert sent[0] == sent[1] == {"model": sent[0]["model"], "messages": [
        {"role": "user", "content": [[]] * 2000}]}
    records = await lane.settled(3)
    assert [record.outcome for record in records] == ["completed"] * 3
    assert len(THREADS) == 2 and all(name.startswith("count") for name in THREADS)


@pytest.mark.parametrize(("raw", "told"), [
    (dense()[:-1], ("invalid_json", None)),
    (dense().replace(b"[], []", b'[], {"type":"file","file":{"file_id":"f"}}', 1),
     ("refused_field", "messages.content.file.file_id")),
    (dense().replace(b"test-model", b"no-such-model"), ("model_not_found", "model")),
])
async def test_it_is_refused_as_any_other(
    opened: Opened, raw: bytes, told: tuple[str, str | None]
) -> None:
    lane = await opened(patterns=("test-*",))
    for _ in range(2):
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, raw))
        error = json.loads(reply.body)["error"]
        assert (error["code"], error["param"]) == told and reply.status in (400, 404)
    assert [record.outcome for record in await lane.settled(2)] == ["refused"] * 2
    assert len(THREADS) == 2 and not lane.upstream.requests


async def test_others_go_on_meanwhile_and_who_leaves_is_let_go(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()
    begun, over = threading.Event(), threading.Event()
    read = handler._read_dense

    def slow(*arguments: Any) -> Any:
        begun.set()
        over.wait(5)
        return read(*arguments)

    monkeypatch.setattr(handler, "_read_dense", slow)
    raw = request_bytes(TARGET, lane.key, dense())
    try:
        async with RawClient(lane.address) as stays, RawClient(lane.address) as leaves:
            await stays.send(raw)
            await leaves.send(raw)
            while not begun.is_set():
                await asyncio.sleep(0.01)
            other = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
            assert other.status == 200
            vanish(leaves)
            assert len(await lane.settled(2)) == 2
            over.set()
            assert (await stays.final_reply()).status == 200
    finally:
        over.set()
    outcomes = sorted(record.outcome for record in await lane.settled(3))
    assert outcomes == ["client_left", "completed", "completed"]
    assert len(lane.upstream.requests) == 2


async def test_where_too_much_waits_it_is_refused(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "QUEUED_CHARACTERS_MAX", -1)
    lane = await opened()
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, dense()))
    assert reply.status == 503 and reply.value(b"retry-after") == b"1"
    assert not THREADS
