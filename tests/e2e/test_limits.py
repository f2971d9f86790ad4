"""Limits through the whole relay: never above, nothing stuck, told in each dialect's own way."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors

from relayd.app import App
from relayd.control import limit
from relayd.core.limit import Limits
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.ops.clock import unix_ms
from relayd.ops.config import LimitsConfig
from relayd.ops.logging import Logger
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Reply, read_request_body, read_request_head
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import EVENTS, chunk, stepped, vanish
from tests.http.play import BODY, STREAM, TARGET

Opened = Callable[..., Awaitable[Lane]]
CLIENTS = 64
PATIENCE_SECONDS = 30.0
NANO = 10 ** 9
BY_CALL = PriceBook([Price("*", unit_prices({"call": NANO}))])
"""Each call costs 1.00."""
USED = ANSWER.replace(b'"prompt_tokens":3,"completion_tokens":2,"total_tokens":5',
                      b'"prompt_tokens":60,"completion_tokens":20,"total_tokens":80')


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Opens a relay with its own upstream; takes what Lane takes but for the directory."""
    async with AsyncExitStack() as stack:

        async def one_more(*wishes: Any, **named: Any) -> Lane:
            return await stack.enter_async_context(Lane(tmp_path / "store", *wishes, **named))

        yield one_more


def chat(lane: Lane, body: bytes = BODY) -> bytes:
    return request_bytes(TARGET, lane.key, body)


def running(lane: Lane) -> int:
    """Places that are taken now."""
    assert lane.app._plane is not None
    return lane.app._plane.admission.running


async def hammer(lane: Lane, seconds: float, body: bytes = BODY) -> tuple[list[Reply], float]:
    """64 clients that ask again and again; their replies, and how long it took.

    A slow machine goes on until one was refused.
    """
    replies: list[Reply] = []
    statuses: set[int] = set()
    start = time.monotonic()

    async def one() -> None:
        async with RawClient(lane.address) as client:
            while time.monotonic() - start < (seconds if 429 in statuses else PATIENCE_SECONDS):
                replies.append(await client.ask(chat(lane, body)))
                statuses.add(replies[-1].status)
                await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(CLIENTS)))
    return replies, time.monotonic() - start


async def test_requests_of_64_clients_are_never_above_the_limit(opened: Opened) -> None:
    lane = await opened(limits=LimitsConfig(requests_per_minute=120))
    replies, seconds = await hammer(lane, 1.5)
    served = [reply for reply in replies if reply.status == 200]
    assert {reply.status for reply in replies} == {200, 429}
    assert 120 <= len(served) <= 120 + 2 * seconds + 1
    assert len(served) == len(lane.upstream.requests)


async def test_tokens_of_64_clients_are_never_above_the_limit(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(message(USED)),
                        limits=LimitsConfig(tokens_per_minute=3_000))
    body = BODY.replace(b"hi", b"hi " * 100)
    estimate = len(body) // 4 + 1
    assert 80 < estimate < 100
    replies, seconds = await hammer(lane, 1.5, body)
    served = [reply for reply in replies if reply.status == 200]
    most = 3_000 + 50 * seconds + estimate
    assert 3_000 - estimate <= 80 * len(served) <= most
    records = await lane.settled(len(replies))
    assert 80 * len(served) == sum(r.input_tokens + r.output_tokens for r in records)
    assert {(r.outcome, r.error) for r in records if r.status == 429} == {
        ("refused", "rate_limited")}
    assert running(lane) == 0


async def test_calls_at_a_time_are_never_above_the_limit(opened: Opened) -> None:
    now = most = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        while (request := await read_request_head(reader)) is not None:
            await read_request_body(reader, request)
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)
            now -= 1
            writer.write(message(ANSWER))

    async with stepped(slow) as address:
        lane = await opened(limits=LimitsConfig(concurrent=5),
                            provider_changes={"address": address})
        replies, _ = await hammer(lane, 1.0)
        assert {reply.status for reply in replies} == {200, 429}
        assert most == 5 and running(lane) == 0
        refused = next(reply for reply in replies if reply.status == 429)
        assert refused.value(b"retry-after") == b"1"


async def test_clients_that_leave_at_random_leave_nothing_behind(opened: Opened) -> None:
    dice = random.Random(7)

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_request_head(reader)) is not None:
            await read_request_body(reader, request)
            await asyncio.sleep(dice.random() * 0.03)
            writer.write(EVENTS)
            for _ in range(3):
                await asyncio.sleep(dice.random() * 0.02)
                writer.write(chunk(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'))
            writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))

    async def leave(lane: Lane) -> None:
        raw = chat(lane, STREAM)
        async with RawClient(lane.address) as client:
            await client.send(raw[:dice.choice((len(raw) - 5, len(raw), len(raw), len(raw)))])
            await asyncio.sleep(dice.random() * 0.1)
            vanish(client)

    async with stepped(dribble) as address:
        lane = await opened(
            limits=LimitsConfig(concurrent=30, models={"test-*": Limits(concurrent=25)}),
            provider_changes={"address": address})
        for _ in range(10):
            await asyncio.gather(*(leave(lane) for _ in range(40)))
        async with asyncio.timeout(5):
            while running(lane):
                await asyncio.sleep(0.02)
        replies = await asyncio.gather(*(ask(lane.address, chat(lane, STREAM))
                                         for _ in range(25)))
        assert {reply.status for reply in replies} == {200}


async def test_figures_and_refusals_in_the_fields_of_a_reply(opened: Opened) -> None:
    lane = await opened(limits=LimitsConfig(requests_per_minute=2, tokens_per_minute=1_000))
    first = await ask(lane.address, chat(lane))
    assert first.value(b"x-ratelimit-limit-requests") == b"2"
    assert first.value(b"x-ratelimit-remaining-requests") == b"1"
    assert first.value(b"x-ratelimit-reset-requests")[:3] in (b"30s", b"29.")
    assert first.value(b"x-ratelimit-limit-tokens") == b"1000"
    second = await ask(lane.address, request_bytes("/v1/messages", lane.key, BODY))
    assert second.value(b"anthropic-ratelimit-requests-remaining") == b"0"
    assert second.value(b"anthropic-ratelimit-tokens-reset").endswith(b"Z")
    third = await ask(lane.address, chat(lane))
    assert (third.status, third.value(b"retry-after")) == (429, b"30")
    assert 29_000 < int(third.value(b"retry-after-ms")) <= 30_000
    assert third.value(b"x-ratelimit-remaining-requests") == b"0"
    error = json.loads(third.body)["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "2 requests per minute; try again in 30 s." in error["message"]


async def test_without_limits_no_figures(opened: Opened) -> None:
    lane = await opened()
    reply = await ask(lane.address, chat(lane))
    assert not [name for name, _ in reply.fields if b"ratelimit" in name.lower()]


async def test_a_command_s_limit_takes_effect_within_a_second(opened: Opened) -> None:
    lane = await opened()
    await limit.change(lane.app.db, "account", "someone@example.com", {
        "concurrent": "1", "requests_per_minute": "1"}, unix_ms())
    await asyncio.sleep(0.9)
    assert [(await ask(lane.address, chat(lane))).status for _ in range(2)] == [200, 429]
    await limit.change(lane.app.db, "account", "someone@example.com", {
        "requests_per_minute": "default"}, unix_ms())
    await asyncio.sleep(0.9)
    assert (await ask(lane.address, chat(lane))).status == 200


async def test_a_reload_changes_limits_at_once(opened: Opened) -> None:
    lane = await opened(limits=LimitsConfig(requests_per_minute=1))
    assert [(await ask(lane.address, chat(lane))).status for _ in range(2)] == [200, 429]
    for limits, status in ((LimitsConfig(requests_per_minute=2), 200), (LimitsConfig(1), 429),
                           (LimitsConfig(models={"test-*": Limits(concurrent=1)}), 200),
                           (LimitsConfig(), 200)):
        lane.app.reload(replace(lane.app.config, limits=limits))
        assert (await ask(lane.address, chat(lane))).status == status


async def test_a_spent_budget_stays_spent_through_a_restart(opened: Opened) -> None:
    lane = await opened(limits=LimitsConfig(daily_budget=2 * NANO), prices=BY_CALL)
    assert [(await ask(lane.address, chat(lane))).status for _ in range(3)] == [200, 200, 402]
    await lane.app.stop()
    lane.app = App(lane.app.config, logger=Logger("debug", lane.log))
    await lane.app.start()
    reply = await ask(lane.address, chat(lane))
    assert (reply.status, reply.value(b"x-should-retry")) == (402, b"false")
    assert not reply.values(b"retry-after") and not reply.values(b"retry-after-ms")
    error = json.loads(reply.body)["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert "may spend 2.00 per day" in error["message"]
    assert [r.error for r in await lane.settled(4)] == [None, None, *["budget_spent"] * 2]


async def test_a_new_budget_counts_what_was_spent_before_it(opened: Opened) -> None:
    lane = await opened(prices=BY_CALL)
    assert (await ask(lane.address, chat(lane))).status == 200
    await lane.settled(1)
    [key] = (lane.app.view.current.keys.values())
    await limit.change(lane.app.db, "key", key.key, {"monthly_budget": "1"}, unix_ms())
    await asyncio.sleep(0.95)
    assert (await ask(lane.address, chat(lane))).status == 402


# -- the official SDKs ---------------------------------------------------------------------------


def with_openai(lane: Lane) -> None:
    url = "http://{}:{}/v1".format(*lane.address)
    with openai.OpenAI(api_key=lane.key, base_url=url, max_retries=0) as client:
        client.chat.completions.create(model="test-model", messages=[])


def with_anthropic(lane: Lane) -> None:
    url = "http://{}:{}".format(*lane.address)
    with anthropic.Anthropic(api_key=lane.key, base_url=url, max_retries=0) as client:
        client.messages.create(model="test-model", max_tokens=1,
                               messages=[{"role": "user", "content": "x"}])


def with_genai(lane: Lane) -> None:
    url = "http://{}:{}".format(*lane.address)
    client = genai.Client(
        api_key=lane.key, http_options=genai.types.HttpOptions(base_url=url))
    try:
        client.models.generate_content(model="test-model", contents="x")
    finally:
        client.close()


@pytest.mark.parametrize(("call", "kind"), [
    (with_openai, openai.RateLimitError), (with_anthropic, anthropic.RateLimitError),
    (with_genai, genai_errors.ClientError),
])
async def test_sdks_raise_their_own_class_for_a_limit(
    opened: Opened, call: Callable[[Lane], None], kind: type[Exception]
) -> None:
    lane = await opened(limits=LimitsConfig(requests_per_minute=1))
    assert (await ask(lane.address, chat(lane))).status == 200
    with pytest.raises(kind, match="1 request per minute") as caught:
        await asyncio.to_thread(call, lane)
    if kind is genai_errors.ClientError:
        told: Any = caught.value
        assert told.code == 429 and told.status == "RESOURCE_EXHAUSTED"
        [info] = told.details["error"]["details"]
        assert info["@type"].endswith("RetryInfo")
        assert 30 < float(info["retryDelay"].removesuffix("s")) < 60  # since the first was served


@pytest.mark.parametrize(("call", "kind"), [
    (with_openai, openai.APIStatusError), (with_anthropic, anthropic.APIStatusError),
    (with_genai, genai_errors.ClientError),
])
async def test_sdks_do_not_try_a_spent_budget_again(
    opened: Opened, call: Callable[[Lane], None], kind: type[Exception]
) -> None:
    lane = await opened(limits=LimitsConfig(monthly_budget=NANO), prices=BY_CALL)
    assert (await ask(lane.address, chat(lane))).status == 200
    with pytest.raises(kind, match="may spend 1.00 per month") as caught:
        await asyncio.to_thread(call, lane)
    told: Any = caught.value
    assert getattr(told, "status_code", None) == 402 or told.code == 402
    assert len(await lane.settled(2)) == 2
