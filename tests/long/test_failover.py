"""Two deployments: one fails at random, or is dead for a while. No call may fail that the other
one could serve, and the outage is not multiplied."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import Counter
from dataclasses import replace
from pathlib import Path

import anthropic
import openai
import pytest

from relayd.core.provider import Timeouts
from relayd.core.route import Deployment, Route
from tests.fakes.daemon import Lane, own_loop, plain_answer
from tests.fakes.faulty import EVENT_HEAD, FAULTS, black_hole, error, providers, upstreams
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, RawUpstream, message
from tests.fakes.stepped import chunk
from tests.http.play import BODY, TARGET
from tests.long.relays import LONG

CALLS = 10_000 if LONG else 400
CLIENTS = 16
PER_SECOND = 200
BEFORE_SECONDS, OUTAGE_SECONDS, AFTER_SECONDS = (10, 30, 10) if LONG else (2, 4, 1)
CONNECT_SECONDS = 1.0
ADDED_SECONDS_MAX = CONNECT_SECONDS + (0.05 if LONG else 0.5)
ATTEMPTS_MAX = 1.2
PATIENT = Timeouts(5.0, 3.0, 3.0)
"""For providers that fall silent; a well one on a busy machine takes a second at times."""
ILL, VERY_ILL = 0.04, 0.6
"""How many of its calls the ill deployment fails: so few that it stays in use, and more."""
KEYS = tuple(f"credential-{n}" for n in range(40))
"""So many that a few which rest do not keep calls from the ill deployment."""

CHAT_STREAM = (
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{'
    b'"index":0,"delta":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n")
MESSAGE = (
    b'{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":'
    b'"ok"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":2}}')
MESSAGE_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
    b'{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"ok"}}\n\n'
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
    b'"stop_sequence":null},"usage":{"output_tokens":2}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n' % MESSAGE)
OVERLOAD = Answer(EVENT_HEAD + chunk(
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"no"}}\n\n'
) + chunk(b""))


def well(request: Request) -> Answer:
    """What a healthy provider of either dialect says."""
    streamed = b'"stream":true' in request.body
    if b"/messages" in request.target:
        return Answer(EVENT_HEAD + chunk(MESSAGE_STREAM) + chunk(b"")) if streamed \
            else Answer(message(MESSAGE))
    return Answer(EVENT_HEAD + chunk(CHAT_STREAM) + chunk(b"")) if streamed else plain_answer()


def ill(dice: random.Random, sent: Counter[str]) -> object:
    """Fails a share of its calls, each time in another way; counts how."""
    seen = iter(range(10 ** 9))

    def answer(request: Request) -> Answer:
        if dice.random() >= (ILL if next(seen) % 1000 < 900 else VERY_ILL):
            return well(request)
        names = list(FAULTS)
        if b"/messages" in request.target and b'"stream":true' in request.body:
            names.append("overload")
        name = dice.choice(names)
        sent[name] += 1
        if name == "429 asks to wait":
            return error(429, "rate_limit_exceeded", retry_after="1")
        return OVERLOAD if name == "overload" else FAULTS[name]

    return answer


async def one_call(chat: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, n: int) -> None:
    """A call of the official SDK, of four kinds in turn; raises where it fails."""
    said = [{"role": "user", "content": f"call {n}"}]
    if n % 4 == 0:
        await chat.chat.completions.create(model="chat", messages=said)  # type: ignore
    elif n % 4 == 1:
        stream = await chat.chat.completions.create(
            model="chat", messages=said, stream=True)  # type: ignore
        assert [part async for part in stream]
    elif n % 4 == 2:
        await claude.messages.create(model="claude", max_tokens=9, messages=said)  # type: ignore
    else:
        async with claude.messages.stream(
                model="claude", max_tokens=9, messages=said) as events:  # type: ignore
            assert (await events.get_final_message()).content


def test_sdks_see_no_failure(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    with own_loop() as run:
        run(_random_faults(tmp_path / "store", seed))


async def _random_faults(store: Path, seed: int) -> None:
    sent: Counter[str] = Counter()
    dice = random.Random(seed)
    async with upstreams(ill(dice, sent), well) as made:  # type: ignore[arg-type]
        chat = {name: replace(found, name=name) for name, found in zip(
            ("c0", "c1"), providers(made, credentials=KEYS, timeouts=PATIENT).values(),
            strict=True)}
        routes = (Route("chat", (Deployment("c0"), Deployment("c1"))),
                  Route("claude", (Deployment("p0"), Deployment("p1"))))
        every = {**chat, **providers(made, "anthropic", credentials=KEYS, timeouts=PATIENT)}
        async with Lane(store, providers=every, routes=routes) as lane:
            base = "http://{}:{}".format(*lane.address)
            clients = (
                openai.AsyncOpenAI(api_key=lane.key, base_url=base + "/v1", max_retries=0),
                anthropic.AsyncAnthropic(auth_token=lane.key, base_url=base, max_retries=0))
            failed: Counter[str] = Counter()
            numbers = iter(range(CALLS))

            async def work() -> None:
                for n in numbers:
                    try:
                        await one_call(*clients, n)
                    except Exception as error:
                        failed[f"{type(error).__name__} {str(error)[:120]}"] += 1

            await asyncio.gather(*(work() for _ in range(CLIENTS)))
            for client in clients:
                await client.close()
            records = await lane.settled(CALLS)
    attempts = sum(record.attempts for record in records)
    twice = Counter(record.attempts for record in records)
    print(f"\n{CALLS} calls of SDKs (seed {seed}): {sum(failed.values())} failed, "
          f"{sum(sent.values())} faults in {len(sent)} ways, {attempts} attempts {dict(twice)}")
    assert not failed and len(records) == CALLS
    assert attempts <= ATTEMPTS_MAX * CALLS


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_an_outage(tmp_path: Path, how: str) -> None:
    with own_loop() as run:
        run(_outage(tmp_path / "store", how))


async def _outage(store: Path, how: str) -> None:
    times: dict[str, list[float]] = {"before": [], "outage": [], "after": []}
    async with upstreams(plain_answer) as made:
        dying = RawUpstream(plain_answer)
        await dying.start()
        port = dying.port
        timeouts = Timeouts(CONNECT_SECONDS, 5.0, 5.0)
        found = providers([dying, *made], timeouts=timeouts)
        routes = (Route("test-model", (Deployment("p0"), Deployment("p1"))),)
        async with Lane(store, providers=found, routes=routes) as lane:
            client = Callers(lane)
            await client.run(times["before"], BEFORE_SECONDS)
            await dying.stop()
            if how == "hangs":
                with black_hole(port):
                    await client.run(times["outage"], OUTAGE_SECONDS)
            else:
                await client.run(times["outage"], OUTAGE_SECONDS)
            await client.run(times["after"], AFTER_SECONDS)
            await client.close()
            calls = sum(map(len, times.values()))
            records = await lane.settled(calls)
    attempts = sum(r.attempts for r in records)
    p99 = {name: statistics.quantiles(found, n=100)[98] for name, found in times.items()}
    print(f"\n{how}: {calls} calls, {client.failed} failed, attempts {attempts / calls:.4f} x, "
          + ", ".join(f"p99 {name} {seconds * 1000:.1f} ms" for name, seconds in p99.items())
          + f", longest {max(times['outage']) * 1000:.0f} ms")
    assert client.failed == 0 and attempts <= ATTEMPTS_MAX * calls
    assert p99["outage"] - p99["before"] <= ADDED_SECONDS_MAX
    assert max(times["outage"]) <= ADDED_SECONDS_MAX + p99["before"] + 0.5


class Callers:
    """Calls at a fixed pace, whatever becomes of the ones before."""

    def __init__(self, lane: Lane) -> None:
        self.failed = 0
        self._lane = lane
        self._raw = request_bytes(TARGET, lane.key, BODY)
        self._idle: list[RawClient] = []

    async def run(self, times: list[float], seconds: float) -> None:
        """Calls for so long; notes how long each one took."""
        now = asyncio.get_running_loop().time
        start, calls = now(), []
        for n in range(int(seconds * PER_SECOND)):
            await asyncio.sleep(max(0.0, start + n / PER_SECOND - now()))
            calls.append(asyncio.create_task(self._call(times)))
        await asyncio.gather(*calls)

    async def _call(self, times: list[float]) -> None:
        now = asyncio.get_running_loop().time
        before = now()
        client = self._idle.pop() if self._idle else RawClient(self._lane.address)
        if client.writer is None:
            await client.__aenter__()
        self.failed += (await client.ask(self._raw)).status != 200
        times.append(now() - before)
        self._idle.append(client)

    async def close(self) -> None:
        """Ends its connections."""
        for client in self._idle:
            await client.close()
