"""Plays cases through lanes: a client's raw bytes, or an upstream's, and what both sides saw.

Every lane has a relay and an upstream of its own, so that cases run side by side; on one lane they
run one after the other, each followed by an ordinary request that must be answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Garbage
from tests.fakes.rawupstream import Answer
from tests.http import judge_reply, judge_request
from tests.http.case import Case, filled
from tests.http.seen import ClientSide, UpstreamSide

FIRST_SECONDS = 10.0
IDLE_SECONDS = 0.25
"""How long a client waits for one more reply than it got."""
CLOSE_SECONDS = 6.0
"""How long a connection may take to be closed where it must be."""
INCOMPLETE_SECONDS = 1.6
"""How long a client waits with a request that never ends; the relay's own limits are shorter."""
HOLD_SECONDS = 20.0
"""How long a client waits for a provider that says no more; the relay waits shorter for one."""
REPLIES_MAX = 60
TARGET = "/v1/chat/completions"
BODY = b'{"model":"test-model","messages":[{"role":"user","content":"hi"}]}'
STREAM = BODY[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
"""A stream whose usage event is not withheld: every octet of the reply must come through."""
Findings = dict[str, list[str]]
Play = Callable[[Lane, Case], Awaitable[list[str]]]


@asynccontextmanager
async def lanes(
    directory: Path, count: int, *, patterns: tuple[str, ...] = ("*-model",), **wishes: Any
) -> AsyncIterator[list[Lane]]:
    """So many relays, that share nothing but the tokenizer's files."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Lane(directory / f"lane{number}", patterns=patterns, **wishes))
            for number in range(count)
        ]


async def play_all(directory: Path, cases: Sequence[Case], play: Play, count: int) -> Findings:
    """Plays the cases over `count` lanes; what is wrong with each, by its id."""
    found: Findings = {}
    waiting = list(reversed(cases))

    async def work(lane: Lane) -> None:
        while waiting:
            case = waiting.pop()
            found[case.id] = await play(lane, case)
            if not await answers(lane):
                found[case.id].append("an ordinary request was not answered after it")

    async with lanes(directory, count) as open_lanes:
        await asyncio.gather(*(work(lane) for lane in open_lanes))
    return found


async def answers(lane: Lane) -> bool:
    """Whether an ordinary request on a new connection is answered."""
    lane.upstream.reset()
    raw = request_bytes(TARGET, lane.key, BODY, fields=(("Connection", "close"),))
    try:
        reply = await ask(lane.address, raw)
    except (OSError, TimeoutError, AssertionError, Garbage):
        return False
    return (reply.status, reply.body, reply.ended) == (200, ANSWER, "complete")


async def play_request(lane: Lane, case: Case) -> list[str]:
    """Sends the case's bytes as a client."""
    upstream = lane.upstream
    upstream.reset()
    start = [len(received) for received in upstream.received]
    client = await _as_client(lane, case)
    await asyncio.sleep(0.02)
    return judge_request.judge(case, lane.key, client, _upstream_side(lane, start))


def _upstream_side(lane: Lane, start: Sequence[int]) -> UpstreamSide:
    received = [bytes(data[start[n] if n < len(start) else 0:])
                for n, data in enumerate(lane.upstream.received)]
    return UpstreamSide(list(lane.upstream.requests), list(lane.upstream.malformed),
                        b"\n".join(received))


async def client_of(lane: Lane, raw: bytes) -> ClientSide:
    """What a client sees that sends these bytes and then says that it is done."""
    whole = Case("", "", raw, {"outcome": "any"}, after="shutdown_wr")
    return await _as_client(lane, whole)


async def _as_client(lane: Lane, case: Case) -> ClientSide:
    raw = filled(case.raw, lane.key)
    seen = ClientSide()
    invited = asyncio.Event()
    async with RawClient(lane.address) as client:
        sending = asyncio.ensure_future(_send(client, case, raw, invited))
        try:
            await _read(client, case, raw.split(b" ")[0], seen, invited)
        except TimeoutError:
            pass
        except Garbage as rule:
            seen.garbage = str(rule)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return seen


async def _send(client: RawClient, case: Case, raw: bytes, invited: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionError):
        if case.send == "headers-then-wait":
            head = raw.index(b"\r\n\r\n") + 4
            await client.send(raw[:head])
            await invited.wait()
            await client.send(raw[head:])
        else:
            await client.send(raw, case.send)
        if case.after == "shutdown_wr":
            client.writer.write_eof()


async def _read(
    client: RawClient, case: Case, method: bytes, seen: ClientSide, invited: asyncio.Event
) -> None:
    seconds = INCOMPLETE_SECONDS if case.expect["outcome"] == "incomplete" else FIRST_SECONDS
    while len(seen.replies) < REPLIES_MAX:
        reply = await client.reply(b"GET" if seen.replies else method, first_seconds=seconds)
        if reply is None:
            seen.closed = True
            return
        invited.set()
        if reply.status < 200:
            seen.informational.append(reply.status)
            continue
        seen.replies.append(reply)
        seconds = IDLE_SECONDS
        if _must_close(case):
            seconds = CLOSE_SECONDS


def _must_close(case: Case) -> bool:
    upstream = case.expect.get("upstream", {})
    return "must" in (case.expect.get("close"), upstream.get("close"))


async def play_reply(lane: Lane, case: Case) -> list[str]:
    """Answers one ordinary request with the case's bytes, as an upstream; then asks once more."""
    seen = await _as_upstream(lane, case)
    return judge_reply.judge(case, lane.key, seen, UpstreamSide(list(lane.upstream.requests)))


async def play_reply_raw(lane: Lane, case: Case) -> list[str]:
    """The same for bytes of which nothing is known but that the relay must bear them."""
    seen = await _as_upstream(lane, case)
    found = [f"status {s}" for s in seen.statuses if s == 500]
    if seen.garbage:
        found.append(f"the client could not read the answer: {seen.garbage}")
    if seen.first is not None and seen.first.ended == "pending" or not (seen.first or seen.closed):
        found.append("the client still waits")
    if seen.second is not None and (seen.second.status, seen.second.body) != (200, ANSWER):
        found.append(f"the next request got {seen.second.status}")
    return found


async def _as_upstream(lane: Lane, case: Case) -> ClientSide:
    upstream = lane.upstream
    upstream.reset()
    answer = Answer(filled(case.raw, lane.key), case.send, case.after)  # type: ignore[arg-type]
    if case.when == "on-connect":
        await upstream.hang_up()
        upstream.on_connect.append(answer)
    else:
        upstream.answers.extend([answer] * case.play)
    seen = ClientSide()
    async with RawClient(lane.address) as client:
        raw = request_bytes(TARGET, lane.key, STREAM if case.stream else BODY)
        try:
            await _ask_twice(lane, client, raw, seen)
        except TimeoutError:
            pass
        except Garbage as rule:
            seen.garbage = str(rule)
    return seen


async def _ask_twice(lane: Lane, client: RawClient, raw: bytes, seen: ClientSide) -> None:
    await client.send(raw)
    while True:
        reply = await client.reply(first_seconds=HOLD_SECONDS, hold_seconds=HOLD_SECONDS)
        if reply is None:
            seen.closed = True
            return
        if reply.status >= 200:
            break
        seen.informational.append(reply.status)
    seen.replies.append(reply)
    lane.upstream.answers.clear()
    if reply.ended == "complete" and not reply.closes:
        await client.send(raw)
        seen.second = await client.reply(first_seconds=FIRST_SECONDS)
