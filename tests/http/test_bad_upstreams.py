"""Providers that misbehave, through the whole relay: what the client gets and what is recorded.

The vectors of test_replies.py judge bytes on both sides; here every fault has its name and ends in
a record that is stated.
"""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from relayd.core.provider import Address, Timeouts
from relayd.core.record import CallRecord
from relayd.relay import dialing
from relayd.relay.upstream import INTERIM_MAX
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawhttp import Reply, Request
from tests.fakes.rawupstream import After, Answer, RawUpstream, message
from tests.http.play import BODY, STREAM, TARGET

MIB = 1 << 20
SSE_HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"one two"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n',
    b"data: [DONE]\n\n",
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


WHOLE_STREAM = SSE_HEAD + b"".join(map(chunk, EVENTS)) + b"0\r\n\r\n"
WHOLE_JSON = message(ANSWER)
Ending = tuple[str, str | None]
"""A record's outcome and error."""
Open = Any


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:
        async def open_lane(**wishes: Any) -> Lane:
            return await stack.enter_async_context(Lane(tmp_path / "store", **wishes))

        yield open_lane


async def ask(lane: Lane, body: bytes = BODY) -> tuple[Reply, CallRecord]:
    async with RawClient(lane.address) as client:
        reply = await client.ask(request_bytes(TARGET, lane.key, body))
    return reply, await lane.record(reply.value(b"x-request-id"))


def ending(record: CallRecord) -> Ending:
    return record.outcome, record.error


# -- resets and ends at any octet ----------------------------------------------------------------


def cut_short(request: Request) -> Answer:
    """As many octets as `max_tokens` says, then what `seed` says."""
    asked = json.loads(request.body)
    whole = WHOLE_STREAM if asked.get("stream") else WHOLE_JSON
    return Answer(whole[:asked["max_tokens"]], after="reset" if asked["seed"] else "close")


def judge(whole: bytes, count: int, reply: Reply, record: CallRecord) -> str:
    """What is wrong with the end of a reply of which `count` octets came; empty: nothing."""
    head = whole.index(b"\r\n\r\n") + 4
    body_begins = head + (len(b"3e\r\n") if whole is WHOLE_STREAM else 0)
    got = (reply.status, reply.ended, *ending(record))
    if count == len(whole):
        wanted: tuple[Any, ...] = (200, "complete", "completed", None)
    elif count < head:
        wanted = (502, "complete", "provider_error", "upstream_reset")
    elif count <= body_begins and whole is WHOLE_JSON:
        wanted = (502, "complete", "provider_error", "upstream_truncated")
    else:
        wanted = (200, "closed", "provider_truncated", "upstream_truncated")
        told = b"upstream_truncated" in reply.body
        if told is not (whole is WHOLE_STREAM):
            return f"{count}: told: {told}"
    return "" if got == wanted else f"{count}: {got} and not {wanted}"


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("whole", [WHOLE_STREAM, WHOLE_JSON])
async def test_an_end_at_any_octet(lane: Open, whole: bytes, resets: bool) -> None:
    opened = await lane(answer=cut_short)
    base = STREAM if whole is WHOLE_STREAM else BODY
    replies: dict[int, Reply] = {}
    counts = iter(range(len(whole) + 1))

    async def some() -> None:
        for count in counts:
            more = b',"max_tokens":%d,"seed":%d}' % (count, resets)
            async with RawClient(opened.address) as client:
                replies[count] = await client.ask(
                    request_bytes(TARGET, opened.key, base[:-1] + more))

    await asyncio.gather(*(some() for _ in range(24)))
    assert len(replies) == len(whole) + 1
    records = {record.id.encode(): record for record in await opened.settled(len(replies))}
    assert len(records) == len(replies), "exactly one record for each"
    wrong = [judge(whole, count, reply, records[reply.value(b"x-request-id")])
             for count, reply in replies.items()]
    assert not any(wrong), [one for one in wrong if one][:5]


# -- what is not an answer -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "raw", "status", "end"), [
    ("no HTTP at all", b"\x00\x01\x02 garbage \xff\r\n\r\n", 502,
     ("provider_error", "upstream_protocol")),
    ("bytes instead of events", SSE_HEAD + chunk(bytes(range(256)) * 20) + b"0\r\n\r\n", 502,
     ("provider_truncated", "upstream_truncated")),
    ("events that are no JSON", SSE_HEAD + chunk(b"data: {oh\n\ndata: [1\n\n") + b"0\r\n\r\n", 200,
     ("provider_truncated", "upstream_truncated")),
    ("a page instead of events", message(b"<html>busy</html>", "text/html"), 502,
     ("provider_error", "provider_stream_error")),
    ("garbage within the chunks", SSE_HEAD + chunk(EVENTS[0]) + b"zz\r\n", 200,
     ("provider_truncated", "upstream_truncated")),
    ("a chunk that is longer than it says", SSE_HEAD + b"5\r\ndata: {}\r\n", 200,
     ("provider_truncated", "upstream_truncated")),
    ("interim answers without end", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000, 502,
     ("provider_error", "upstream_protocol")),
    ("one interim answer too many",
     b"HTTP/1.1 103 Early Hints\r\n\r\n" * (INTERIM_MAX + 1) + WHOLE_STREAM, 502,
     ("provider_error", "upstream_protocol")),
    ("as many as are read over",
     b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * INTERIM_MAX + WHOLE_STREAM, 200,
     ("completed", None)),
])
async def test_what_is_no_answer(
    lane: Open, name: str, raw: bytes, status: int, end: Ending
) -> None:
    opened = await lane()
    after: After = "hold" if end[1] == "upstream_protocol" else "keep"
    opened.upstream.answers.append(Answer(raw, after=after))
    reply, record = await ask(opened, STREAM)
    assert (reply.status, ending(record)) == (status, end)
    assert (reply.ended == "complete") is (status == 502 or end[0] == "completed")
    again, next_record = await ask(opened)
    assert again.body == ANSWER and next_record.outcome == "completed"


async def test_gzip_although_identity_was_asked(lane: Open) -> None:
    opened = await lane()
    coded = gzip.compress(ANSWER)
    opened.upstream.answers.append(
        Answer(message(coded, fields=(("Content-Encoding", "gzip"),))))
    reply, record = await ask(opened)
    asked = opened.upstream.requests[0].values(b"accept-encoding")
    assert asked in ([b"identity"], [])
    assert reply.value(b"content-encoding") == b"gzip" and reply.body == coded
    assert ending(record) == ("completed", None)
    assert (record.usage_source, record.input_tokens, record.output_tokens) == ("reported", 3, 2)


async def test_gzip_events_although_identity_was_asked(lane: Open) -> None:
    opened = await lane()
    coded = gzip.compress(b"".join(EVENTS))
    opened.upstream.answers.append(Answer(message(
        coded, "text/event-stream", chunked=True, fields=(("Content-Encoding", "gzip"),))))
    reply, record = await ask(opened, STREAM)
    assert reply.body == coded and reply.value(b"content-encoding") == b"gzip"
    assert (record.usage_source, record.input_tokens, record.output_tokens) == ("reported", 3, 2)


# -- lengths, and octets that belong to nobody ---------------------------------------------------


@pytest.mark.parametrize("length", [len(ANSWER) + 5, 10 * MIB])
async def test_a_content_length_that_is_too_long(lane: Open, length: int) -> None:
    opened = await lane()
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    opened.upstream.answers.append(Answer(raw % length + ANSWER, after="close"))
    reply, record = await ask(opened)
    assert (reply.status, reply.ended, reply.body) == (200, "closed", ANSWER)
    assert ending(record) == ("provider_truncated", "upstream_truncated")


async def test_a_content_length_that_is_too_short(lane: Open) -> None:
    opened = await lane()
    short = message(ANSWER).replace(b"%d" % len(ANSWER), b"%d" % (len(ANSWER) - 5))
    opened.upstream.answers.append(Answer(short))
    reply, record = await ask(opened)
    assert reply.body == ANSWER[:-5] and record.outcome == "completed"
    again, _ = await ask(opened)
    assert again.body == ANSWER and opened.upstream.opened == 2


async def test_octets_behind_an_answer_are_nobody_s(lane: Open) -> None:
    opened = await lane()
    opened.upstream.answers.append(Answer(message(ANSWER) + message(b'{"not":"yours"}')))
    for _ in range(2):
        reply, record = await ask(opened)
        assert reply.body == ANSWER and record.outcome == "completed"
    assert opened.upstream.opened == 2


async def test_an_answer_on_an_idle_connection(lane: Open) -> None:
    opened = await lane()
    opened.upstream.answers.append(Answer(message(ANSWER)))
    assert (await ask(opened))[0].body == ANSWER
    pool = opened.app._plane.policy.pools["openai"]  # type: ignore[union-attr]
    assert pool.idle == 1
    [transport] = [c.transport for c in pool._all]
    peer = transport.get_extra_info("sockname")
    for task in list(opened.upstream._tasks):  # the provider's side of it says something more
        frame = task.get_coro().cr_frame  # type: ignore[union-attr]
        writer = frame.f_locals["writer"]
        assert writer.get_extra_info("peername") == peer
        writer.write(message(b'{"not":"yours"}'))
    async with asyncio.timeout(2):
        while pool.idle:
            await asyncio.sleep(0.01)
    reply, record = await ask(opened)
    assert reply.body == ANSWER and record.attempts == 1
    assert opened.upstream.opened == 2


# -- without measure -----------------------------------------------------------------------------


async def test_a_stream_that_never_ends_is_cut_at_its_size(lane: Open) -> None:
    opened = await lane(server={"reply_bytes_max": MIB})
    many = chunk(EVENTS[0] * 500)
    opened.upstream.answers.append(
        Answer(SSE_HEAD + many * 2000, f"segments-{len(many)}", after="hold"))
    reply, record = await ask(opened, STREAM)
    assert reply.status == 200 and reply.ended == "closed"
    assert reply.body.endswith(b"\n\n") and b"upstream_endless" in reply.body[-400:]
    assert MIB < len(reply.body) < 40 * MIB
    assert ending(record) == ("provider_truncated", "upstream_endless")
    assert record.output_tokens > 1000 and record.usage_source in ("counted", "estimated")


async def test_a_stream_that_never_ends_is_cut_at_its_time(lane: Open) -> None:
    opened = await lane(provider_changes={"timeouts": Timeouts(1.0, 1.0, 1.0, total=0.6)})
    opened.upstream.answers.append(
        Answer(SSE_HEAD + chunk(EVENTS[0]) * 5000, f"segments-{len(chunk(EVENTS[0]))}"))
    reply, record = await ask(opened, STREAM)
    assert reply.ended == "closed" and b"upstream_timeout" in reply.body[-400:]
    assert ending(record) == ("provider_truncated", "upstream_timeout")
    assert 500 < record.duration_ms < 1500


def peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmHWM")


@pytest.mark.parametrize("framing", ["one chunk", "many chunks"])
async def test_an_event_of_50_megabytes(tmp_path: Path, framing: str) -> None:
    text = b"word " * (10 * MIB)
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text
    pieces = [event] if framing == "one chunk" else [
        event[at:at + 16_384] for at in range(0, len(event), 16_384)]
    raw = SSE_HEAD + b"".join(map(chunk, (*pieces, *EVENTS[1:]))) + b"0\r\n\r\n"
    upstream = RawUpstream(lambda request: Answer(WHOLE_STREAM))
    await upstream.start()
    async with DaemonProcess(tmp_path / "daemon", upstream.port) as daemon:
        ask_for = request_bytes(TARGET, daemon.key, STREAM)
        async with RawClient(daemon.address) as client:
            await client.ask(ask_for)  # and what is needed for the first call is there
        await daemon.calm()
        before = peak_bytes(daemon.pid)
        upstream.answers.append(Answer(raw))
        async with RawClient(daemon.address) as client:
            reply = await client.ask(ask_for, first_seconds=20)
        assert reply.ended == "complete" and reply.body == event + b"".join(EVENTS[1:])
        grown = peak_bytes(daemon.pid) - before
        assert grown < 12 * MIB, f"{grown / MIB:.1f} MiB"
        assert await daemon.end(signal.SIGTERM) == 0
    await upstream.stop()


# -- where there is no provider ------------------------------------------------------------------


class Names:
    """Answers the process's look-ups; what is not in `addresses` does not exist."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: dict[str, Sequence[tuple[str, int]]] = {}
        self.asked = 0
        monkeypatch.setattr(dialing, "look_up", self._look_up)

    async def _look_up(self, host: str, port: int) -> list[Any]:
        self.asked += 1
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
                for address in self.addresses[host]]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


def at(host: str, scheme: Any = "http", port: int = 1) -> dict[str, Any]:
    return {"address": Address(scheme, host, port, "/v1")}


def reason(lane: Lane) -> str:
    """Why the log says that a provider cannot be reached."""
    for line in lane.log.getvalue().splitlines():
        event = json.loads(line)
        if event["event"] == "provider_unreachable":
            found: str = event["reason"]
            return found
    return ""


@pytest.mark.parametrize(("fields", "word"), [
    (b"X-A: b\r\n c\r\nContent-Length: 2", "reply_field_folded"),
    (b"Content-Length: 2\r\nContent-Length: 2", "reply_content_length"),
    (b"Content-Length: 2, 2", "reply_content_length"),
    (b"Content-Length: 2\r\nTransfer-Encoding: gzip", "reply_transfer_encoding"),
])
async def test_an_answer_that_is_refused_is_told_with_what_is_wrong(
    lane: Open, fields: bytes, word: str
) -> None:
    opened = await lane(answer=lambda _: Answer(
        b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n{}"))
    reply, record = await ask(opened)
    assert reply.status == 502 and ending(record) == ("provider_error", "upstream_protocol")
    said = {(each["provider"], each["reason"])
            for each in map(json.loads, opened.log.getvalue().splitlines())
            if each["event"] == "provider_reply_invalid"}
    assert (record.provider, word) in said and {each for _, each in said} == {word}


async def test_a_name_that_does_not_exist(lane: Open, names: Names) -> None:
    opened = await lane(provider_changes=at("gone.test"))
    reply, record = await ask(opened)
    assert reply.status == 502 and b"upstream_connect" in reply.body
    assert ending(record) == ("provider_error", "upstream_connect")
    assert reason(opened) == "name" and "gone.test" not in opened.log.getvalue()


async def test_a_name_that_moves(lane: Open, names: Names) -> None:
    opened = await lane(provider_changes=at("moves.test"))
    other = RawUpstream(lambda request: Answer(message(ANSWER)))
    await other.start()
    here, there = ("127.0.0.1", opened.upstream.port), ("127.0.0.1", other.port)
    names.addresses["moves.test"] = [here]
    for _ in range(2):
        assert (await ask(opened))[0].body == ANSWER
    assert names.asked == 1, "a kept connection needs no name"
    names.addresses["moves.test"] = [there]
    await opened.upstream.hang_up()
    assert (await ask(opened))[0].body == ANSWER
    assert (len(opened.upstream.requests), len(other.requests)) == (2, 1)
    await opened.app.stop()
    await other.stop()


async def test_the_first_of_two_addresses_refuses(lane: Open, names: Names) -> None:
    opened = await lane(provider_changes=at("two.test"))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        names.addresses["two.test"] = [
            nobody.getsockname(), ("127.0.0.1", opened.upstream.port)]
        reply, record = await ask(opened)
    assert reply.body == ANSWER and record.attempts == 1
    assert record.first_byte_ms is not None and record.first_byte_ms < 300


async def test_the_first_of_two_addresses_is_silent(lane: Open, names: Names) -> None:
    opened = await lane(provider_changes=at("two.test"))
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        names.addresses["two.test"] = [full.getsockname(), ("127.0.0.1", opened.upstream.port)]
        reply, record = await ask(opened)
        for other in others:
            other.close()
    assert reply.body == ANSWER and record.attempts == 1
    assert record.first_byte_ms is not None and 200 < record.first_byte_ms < 600


async def test_nobody_listens(lane: Open) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        opened = await lane(provider_changes=at("127.0.0.1", port=nobody.getsockname()[1]))
        reply, record = await ask(opened)
    assert reply.status == 502 and ending(record) == ("provider_error", "upstream_connect")
    assert reason(opened) == "refused"


def expired(authority: trustme.CA) -> trustme.LeafCert:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    return authority.issue_cert("127.0.0.1", not_before=past,
                                not_after=past + datetime.timedelta(days=30))


@pytest.mark.parametrize("how", ["another name", "expired", "unknown authority"])
async def test_certificates_that_are_not_accepted(lane: Open, tmp_path: Path, how: str) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    signs = stranger if how == "unknown authority" else authority
    leaf = (expired(signs) if how == "expired" else
            signs.issue_cert("other.example.org" if how == "another name" else "127.0.0.1"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    opened = await lane(upstream_tls=context,
                        provider_changes={"ca_file": str(tmp_path / "ca.pem")})
    reply, record = await ask(opened)
    assert reply.status == 502 and b"upstream_tls" in reply.body
    assert ending(record) == ("provider_error", "upstream_tls")
    assert reason(opened) == "certificate"
    assert opened.upstream.requests == [] and not any(opened.upstream.received)


async def test_a_provider_that_speaks_no_tls_hears_nothing(lane: Open, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    plain = RawUpstream(lambda request: Answer(message(ANSWER)))
    await plain.start()
    opened = await lane(provider_changes={
        "ca_file": str(tmp_path / "ca.pem"), **at("127.0.0.1", "https", plain.port)})
    plain.on_connect.append(Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    reply, record = await ask(opened)
    assert reply.status == 502 and record.outcome == "provider_error"
    assert record.error in ("upstream_tls", "upstream_connect")
    assert not any(b"POST" in octets or b"Bearer" in octets for octets in plain.received)
    await opened.app.stop()
    await plain.stop()
