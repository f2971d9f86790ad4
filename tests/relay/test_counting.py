"""When a call is counted: always, or in audit mode until its deployment is known to report."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from relayd.ops.config import MeteringConfig
from relayd.relay import counting as module
from relayd.relay.counting import PLACES_MAX, Counting, PromptCount
from relayd.relay.prompt_count import PROMPT_BYTES_INLINE_MAX
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.tokenizer import Encodings
from relayd.wire.dialect import BY_OPERATION
from tests.fakes.rawclient import ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

CHAT = BY_OPERATION["chat"]
FIELDS = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello there"}]}
LONG = b'{"model":"gpt-4o","messages":[{"role":"user","content":"%b"}]}' % (
    b"word " * PROMPT_BYTES_INLINE_MAX)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def inline(executor: ThreadPoolExecutor, encodings: Encodings) -> Counting:
    return Counting(MeteringConfig(), encodings, executor, PromptMemo(b"s" * 32))


def audit(executor: ThreadPoolExecutor, every: int = 10) -> Counting:
    return Counting(MeteringConfig("audit", every), Encodings(), executor, PromptMemo(b"s" * 32))


def test_inline_counts_every_call_that_bills(executor: ThreadPoolExecutor) -> None:
    counting = inline(executor, Encodings())
    counting.reported("p", "m", CHAT, True)
    assert all(counting.wanted("p", "m", CHAT) for _ in range(3))
    for name in ("count_tokens", "count"):
        assert not counting.wanted("p", "m", BY_OPERATION[name])


def test_audit_counts_until_a_deployment_reports(executor: ThreadPoolExecutor) -> None:
    counting = audit(executor)
    assert counting.wanted("p", "m", CHAT)
    counting.reported("p", "m", CHAT, False)
    assert counting.wanted("p", "m", CHAT)
    counting.reported("p", "m", CHAT, True)
    wanted = [counting.wanted("p", "m", CHAT) for _ in range(20)]
    assert wanted.count(True) == 2  # one in ten
    assert counting.wanted("p", "other", CHAT) and counting.wanted("q", "m", CHAT)
    counting.reported("p", "m", CHAT, False)
    assert counting.wanted("p", "m", CHAT)


def test_what_is_remembered_is_bounded(executor: ThreadPoolExecutor) -> None:
    counting = audit(executor, 1_000_000)
    for number in range(PLACES_MAX):
        counting.reported("p", str(number), CHAT, True)
    assert not counting.wanted("p", "0", CHAT)
    counting.reported("p", "one more", CHAT, True)
    assert counting.wanted("p", "0", CHAT) and not counting.wanted("p", "one more", CHAT)


async def test_a_short_prompt_is_counted_at_once(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    count = counting.prompt(CHAT, FIELDS, 100, counting.encoding("gpt-4o"), "acct_1")
    assert not count.pending and count.tokens == 9


async def test_a_long_prompt_is_counted_on_a_thread(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    size = PROMPT_BYTES_INLINE_MAX + 1
    count = counting.prompt(CHAT, FIELDS, size, counting.encoding("gpt-4o"), "acct_1")
    assert count.pending and count.tokens is None
    told = asyncio.Event()
    count.when_done = told.set
    await asyncio.wait_for(told.wait(), 5)
    assert not count.pending and count.tokens == 9


async def test_a_count_that_fails_is_none(
    executor: ThreadPoolExecutor, encodings: Encodings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ValueError

    monkeypatch.setattr(module, "count_prompt", broken)
    counting = inline(executor, encodings)
    count: PromptCount = counting.prompt(
        CHAT, FIELDS, PROMPT_BYTES_INLINE_MAX + 1, counting.encoding("gpt-4o"), "acct_1")
    told = asyncio.Event()
    count.when_done = told.set
    await asyncio.wait_for(told.wait(), 5)
    assert (count.pending, count.tokens) == (False, None)


async def test_a_long_prompt_s_record_waits_for_its_count(opened: Opened) -> None:
    lane = await opened()
    for body in (BODY, LONG):
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, body))).status == 200
    short, long = await lane.settled(2)
    assert short.counted_input_tokens == 8
    assert long.counted_input_tokens == PROMPT_BYTES_INLINE_MAX + 8
    assert (long.input_tokens, long.usage_source) == (3, "reported")


async def test_audit_mode_of_a_running_relay(opened: Opened) -> None:
    lane = await opened(metering=MeteringConfig("audit", flush_seconds=0.05))
    for _ in range(3):
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    counted = [r.counted_input_tokens for r in await lane.settled(3)]
    assert counted == [8, None, None]
