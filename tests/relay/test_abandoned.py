"""Replies that are read on after their client has left: recorded as reported, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from relayd.core.record import CallRecord
from relayd.core.usage import Beside, Usage
from relayd.relay.abandoned import is_uncountable
from relayd.relay.counting import PromptCount
from relayd.relay.exchange import Exchange
from relayd.wire.body import Ask
from relayd.wire.dialect import target_of
from relayd.wire.walk import OPEN, PICTURED, UNTOLD
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawupstream import message
from tests.fakes.stepped import EVENTS, chunk, stepped, vanish
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_exchange import exchange

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
LAST = (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":77,'
        b'"total_tokens":86}}\n\ndata: [DONE]\n\n')
DRAIN = {"on_client_close": "drain"}


class Provider:
    """Answers in two steps: `first`, then, once `go_on` is set, the rest and a close."""

    def __init__(self, first: bytes, rest: bytes = b"") -> None:
        self.first, self.rest = first, rest
        self.asked = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cut = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; `cut` is set when the relay has closed it."""
        await reader.readuntil(b"hi")
        self.asked += 1
        writer.write(self.first)
        self.begun.set()
        gone = asyncio.ensure_future(reader.read())
        gone.add_done_callback(lambda _: self.cut.set())
        await asyncio.wait({gone, asyncio.ensure_future(self.go_on.wait())},
                           return_when=asyncio.FIRST_COMPLETED)
        if self.rest:
            writer.write(self.rest)
            await gone


@asynccontextmanager
async def left(
    opened: Opened, provider: Provider, body: bytes = STREAM, *, clients: int = 1,
    server: dict[str, Any] | None = None, changes: dict[str, Any] | None = None,
) -> AsyncIterator[Lane]:
    """A relay some of whose clients have just left; each had got what the provider began with."""
    async with stepped(provider.serve) as address:
        lane = await opened(server=server, provider_changes={
            "address": address, **DRAIN, **(changes or {})})
        for _ in range(clients):
            async with RawClient(lane.address) as client:
                await client.send(request_bytes(TARGET, lane.key, body))
                await asyncio.wait_for(provider.begun.wait(), 2)
                if provider.first:
                    await client.reader.readuntil(EVENT[-10:])
                vanish(client)
            await asyncio.sleep(0.1)
        yield lane


async def only(lane: Lane) -> CallRecord:
    [record] = await lane.settled(1)
    assert (record.outcome, record.error) == ("client_left", "client_left")
    return record


def running(lane: Lane) -> int:
    assert lane.app._plane is not None
    return len(lane.app._plane.abandoned)


async def test_a_stream_is_read_to_its_end(opened: Opened) -> None:
    provider = Provider(EVENTS + chunk(EVENT), chunk(LAST) + chunk(b""))
    async with left(opened, provider) as lane:
        plane = lane.app._plane
        assert plane is not None
        assert running(lane) == 1 and not plane.connections
        assert await lane.records() == [] and not provider.cut.is_set()
        provider.go_on.set()
        record = await only(lane)
        assert (record.status, record.usage_source) == (200, "reported")
        assert (record.input_tokens, record.output_tokens) == (9, 77)
        assert record.first_byte_ms is not None
        assert running(lane) == 0 and plane.idle
        assert plane.policy.pools["openai"].idle == 1  # the connection serves the next call


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["json", "stream"])
async def test_before_the_first_byte_too(opened: Opened, body: bytes) -> None:
    whole = message(ANSWER)
    rest = whole if body == BODY else EVENTS + chunk(EVENT) + chunk(LAST) + chunk(b"")
    provider = Provider(b"", rest)
    async with left(opened, provider, body) as lane:
        assert running(lane) == 1
        provider.go_on.set()
        record = await only(lane)
        assert (record.status, record.usage_source, record.first_byte_ms) == (0, "reported", None)
        assert record.output_tokens == (2 if body == BODY else 77)


async def test_of_a_client_that_closed_without_a_word_too(opened: Opened) -> None:
    """Twice: what ends the first one's wait must be there for the second."""
    provider = Provider(b"", message(ANSWER, fields=(("Connection", "close"),)))
    async with stepped(provider.serve) as address:
        lane = await opened(provider_changes={"address": address, **DRAIN})
        for _ in range(2):
            async with RawClient(lane.address) as client:
                await client.send(request_bytes(TARGET, lane.key, BODY))
            async with asyncio.timeout(5):
                while not running(lane):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.6)  # looked at again meanwhile
            provider.go_on.set()
            async with asyncio.timeout(2):
                while running(lane):
                    await asyncio.sleep(0.05)
            provider.go_on.clear()
        assert [(r.status, r.outcome, r.usage_source) for r in await lane.settled(2)] == [
            (0, "client_left", "reported")] * 2


async def test_it_is_bounded_in_time(opened: Opened) -> None:
    provider = Provider(EVENTS + chunk(EVENT))
    async with left(opened, provider, server={"client_drain_seconds": 0.3}) as lane:
        assert running(lane) == 1
        record = await only(lane)
        assert (record.status, record.usage_source) == (200, "estimated")
        assert record.output_tokens == record.counted_output_tokens == 1
        await asyncio.wait_for(provider.cut.wait(), 2)


async def test_it_is_bounded_in_number(opened: Opened) -> None:
    provider = Provider(EVENTS + chunk(EVENT), chunk(LAST) + chunk(b""))
    async with left(opened, provider, clients=2, server={"client_drains_max": 1}) as lane:
        assert running(lane) == 1
        [second] = await lane.settled(1)
        assert (second.outcome, second.usage_source, second.output_tokens) == (
            "client_left", "estimated", 1)
        provider.go_on.set()
        first, _ = await lane.settled(2)
        assert (first.usage_source, first.output_tokens) == ("reported", 77)


@pytest.mark.parametrize("server", [None, {"client_drains_max": 0}])
async def test_otherwise_it_is_cancelled(opened: Opened, server: dict[str, Any] | None) -> None:
    provider = Provider(EVENTS + chunk(EVENT))
    changes = {} if server else {"on_client_close": "cancel"}
    async with left(opened, provider, server=server, changes=changes) as lane:
        assert running(lane) == 0
        await asyncio.wait_for(provider.cut.wait(), 2)
        assert (await only(lane)).usage_source == "estimated"


async def test_a_stop_waits_for_none_of_them(opened: Opened) -> None:
    provider = Provider(EVENTS + chunk(EVENT))
    async with left(opened, provider, server={"drain_seconds": 30.0}) as lane:
        assert running(lane) == 1
        async with asyncio.timeout(2):
            await lane.app.stop()
        assert (await only(lane)).usage_source == "estimated"


async def test_a_provider_that_breaks_off_meanwhile(opened: Opened) -> None:
    provider = Provider(EVENTS + chunk(EVENT))
    async with left(opened, provider) as lane:
        provider.go_on.set()
        record = await only(lane)
        assert (record.status, record.usage_source, record.output_tokens) == (200, "estimated", 1)
        assert running(lane) == 0


async def test_nothing_is_sent_again_for_nobody(opened: Opened) -> None:
    error = message(b'{"error":{"message":"x"}}', status=503)
    provider = Provider(b"", error)
    async with left(opened, provider) as lane:
        assert running(lane) == 1
        provider.go_on.set()
        record = await only(lane)
        assert (record.status, record.attempts, provider.asked) == (0, 1, 1)
        assert (record.usage_source, record.input_tokens) == ("none", 0)


async def test_a_request_that_is_not_whole_is_not_read_on(opened: Opened) -> None:
    provider = Provider(b"")
    async with stepped(provider.serve) as address:
        lane = await opened(provider_changes={"address": address, **DRAIN})
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, STREAM)[:-3])
            await asyncio.sleep(0.1)
            vanish(client)
        record = await only(lane)
        assert (record.attempts, record.usage_source) == (0, "none") and provider.asked == 0


async def test_a_client_that_does_not_read_and_leaves(opened: Opened) -> None:
    """What the client held up flows again."""
    many = b"".join(chunk(EVENT * 1000) for _ in range(200))
    provider = Provider(EVENTS + chunk(EVENT), many + chunk(LAST) + chunk(b""))
    async with stepped(provider.serve) as address:
        lane = await opened(provider_changes={"address": address, **DRAIN},
                            server={"write_buffer_bytes": 1024})
        async with RawClient(lane.address) as client:
            transport: Any = client.writer.transport
            await client.send(request_bytes(TARGET, lane.key, STREAM))
            transport.pause_reading()
            await asyncio.wait_for(provider.begun.wait(), 2)
            provider.go_on.set()
            await asyncio.sleep(0.3)
            assert running(lane) == 0 and await lane.records() == []
            vanish(client)
        record = await only(lane)
        assert (record.usage_source, record.output_tokens) == ("reported", 77)
        assert record.counted_output_tokens is not None
        assert record.counted_output_tokens > 100_000


CHAT, CLAUDE = "/v1/chat/completions", "/v1/messages"
STARTED, SEEN = Usage(900, 1), Beside(searches=1)


@pytest.mark.parametrize(("path", "model", "marks", "reported", "expected"), [
    (CHAT, "gpt-4o", (), None, False), (CHAT, "gpt-4o", (PICTURED,), None, False),
    (CHAT, "gpt-4o", (OPEN,), None, True), (CHAT, "gpt-4o", (UNTOLD,), None, True),
    (CHAT, "gpt-4o", (OPEN, UNTOLD), STARTED, False), (CHAT, "gpt-4o", (OPEN,), SEEN, True),
    (CHAT, "gpt-5.2", (), None, True), (CHAT, "gpt-5.2", (), STARTED, False),
    (CHAT, "azure-name", (), None, True), (CHAT, "o3", (), None, True),
    # its first event tells what was asked, but not what is thought or read while it answers
    (CLAUDE, "claude-opus-4-6", (), None, False),
    (CLAUDE, "claude-opus-4-6", (OPEN,), None, True),
    (CLAUDE, "claude-opus-4-6", (OPEN,), STARTED, False),
    (CLAUDE, "claude-opus-4-6", (UNTOLD,), STARTED, True),
    ("/v1/messages/count_tokens", "claude-opus-4-6", (OPEN, UNTOLD), None, False),
    ("/v1/images/edits", "gpt-image-1", (), None, True),
    ("/v1/audio/transcriptions", "gpt-4o-transcribe", (), None, True),
    ("/v1/audio/speech", "gpt-4o-mini-tts", (), None, False),
])
def test_what_only_the_provider_can_count(
    path: str, model: str, marks: tuple[str, ...], reported: Usage | None, expected: bool
) -> None:
    made: Exchange = exchange()
    made.target = target_of(path, "anthropic" if path.startswith(CLAUDE) else "openai")
    made.model = "gpt-5-mini" if model == "azure-name" else model
    made.provider_model = model
    made.prompt = PromptCount(5)
    made.ask = Ask(model, True, {}, (), False, (), [])
    made.ask.marks = frozenset(marks)
    made.copying = SimpleNamespace(usage_so_far=lambda: reported)  # type: ignore[assignment]
    assert is_uncountable(made) is expected
    made.ask = None
    made.extent = frozenset(marks)  # as when its body has been let go
    assert is_uncountable(made) is expected
    made.prompt = None  # as in audit mode: nothing is counted
    assert is_uncountable(made) is (
        "count_tokens" not in path and (reported is not STARTED or path == CLAUDE))


DOCUMENT = STREAM.replace(b'"hi"', b'[{"type": "file", "file": {"file_data": '
                          b'"data:application/pdf;base64,JVBE"}}, {"type":"text","text":"hi"}]')


@pytest.mark.parametrize(("said", "body", "drains"), [
    ("drain_uncounted", DOCUMENT, True), ("drain_uncounted", STREAM, False),
    ("drain", STREAM, True), ("cancel", DOCUMENT, False)],
    ids=["uncounted", "counted", "all", "none"])
async def test_what_cannot_be_counted_is_read_on(
    opened: Opened, said: str, body: bytes, drains: bool
) -> None:
    """A client that left before the last event had the document for nothing."""
    assert DOCUMENT != STREAM
    provider = Provider(EVENTS + chunk(EVENT), chunk(LAST) + chunk(b""))
    async with left(opened, provider, body, changes={"on_client_close": said}) as lane:
        assert running(lane) == drains
        provider.go_on.set()
        record = await only(lane)
        assert (record.usage_source, record.input_tokens) == (
            ("reported", 9) if drains else ("estimated", record.counted_input_tokens))
