"""When a call is counted: always, or in audit mode until its deployment is known to report."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from relayd.ops.config import MeteringConfig
from relayd.relay import counting as module
from relayd.relay.count import LOOP_CHARACTERS_MAX, PIECE_CHARACTERS_MAX
from relayd.relay.counting import PLACES_MAX, QUEUED_CHARACTERS_MAX, Counting, PromptCount
from relayd.relay.prompt_count import PROMPT_BYTES_INLINE_MAX
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.walk import BodyPolicy, Walk
from relayd.wire.known import Known
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

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


def test_audit_does_not_soon_believe_a_deployment_that_stopped_reporting(
    executor: ThreadPoolExecutor
) -> None:
    counting = audit(executor)
    counting.reported("p", "m", CHAT, True)
    for _ in range(3):  # replies report, streams do not
        counting.reported("p", "m", CHAT, False)
        counting.reported("p", "m", CHAT, True)
        assert counting.wanted("p", "m", CHAT)
    for _ in range(10):
        counting.reported("p", "m", CHAT, True)
    assert [counting.wanted("p", "m", CHAT) for _ in range(10)].count(True) == 1


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
    count = counting.prompt(CHAT, FIELDS, 100, encoding_for("gpt-4o"), "acct_1")
    assert not count.pending and count.tokens == 9


async def test_a_long_prompt_is_counted_on_a_thread(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    size = PROMPT_BYTES_INLINE_MAX + 1
    count = counting.prompt(CHAT, FIELDS, size, encoding_for("gpt-4o"), "acct_1")
    assert count.pending and count.tokens is None
    told = asyncio.Event()
    count.when_done = told.set
    await asyncio.wait_for(told.wait(), 5)
    assert not count.pending and count.tokens == 9


async def test_a_long_prompt_of_which_little_is_new_is_counted_at_once(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    memory = Known(BodyPolicy(), 254)
    encoding = encoding_for("gpt-4o")

    def prompt(*texts: str) -> PromptCount:
        walk = Walk(memory.policy, memory)
        fields = {"messages": [
            memory.take(b'{"role":"user","content":"%b"}' % text.encode(), None, walk)
            for text in texts]}
        return counting.prompt(CHAT, fields, sum(map(len, texts)), encoding, "acct_1")

    long = "word " * PROMPT_BYTES_INLINE_MAX
    first = prompt(long)
    assert first.pending
    told = asyncio.Event()
    first.when_done = told.set
    await asyncio.wait_for(told.wait(), 5)
    again = prompt(long, "more")
    assert not again.pending and first.tokens is not None
    assert (again.tokens, again.approximate) == (first.tokens + 3 + 1 + 1, False)
    assert prompt(long, "other " * PROMPT_BYTES_INLINE_MAX).pending


async def test_nothing_is_remembered_by_a_hash_that_others_may_know(
    executor: ThreadPoolExecutor, encodings: Encodings, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo = PromptMemo(b"s" * 32)
    for seed, kept in (("1", 0), ("random", 1)):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        counting = Counting(MeteringConfig(), encodings, executor, memo)
        for _ in range(2):
            count = counting.prompt(CHAT, FIELDS, 100, encoding_for("gpt-4o"), "acct_1")
            assert (count.tokens, count.approximate) == (9, False)
        assert len(memo.texts) == kept


class Watched(Encodings):
    """Notes which thread encodes how much at once."""

    def __init__(self, inner: Encodings) -> None:
        super().__init__()
        self.inner = inner
        self.calls: list[tuple[int, int]] = []

    def count(self, name: str, text: str) -> tuple[int, bool]:
        self.calls.append((threading.get_ident(), len(text)))
        return self.inner.count(name, text)


MEGABYTE = 1_000_000
PROMPTS = {
    "one text": ["The quick brown fox jumps over it. " * (MEGABYTE // 35)],
    "many texts": ["some twenty bytes and " + str(n) for n in range(MEGABYTE // 50)],
    "one letter": ["a" * MEGABYTE],
}


@pytest.mark.parametrize("texts", PROMPTS.values(), ids=PROMPTS)
async def test_a_prompt_of_a_megabyte_is_encoded_on_the_thread_in_parts(
    executor: ThreadPoolExecutor, encodings: Encodings, texts: list[str]
) -> None:
    watched = Watched(encodings)
    counting = inline(executor, watched)
    fields = {"messages": [{"role": "user", "content": text} for text in texts]}
    count = counting.prompt(CHAT, fields, MEGABYTE, encoding_for("gpt-4o"), "acct_1")
    worst, last = 0.0, time.monotonic()
    while count.pending:
        await asyncio.sleep(0)
        now = time.monotonic()
        worst, last = max(worst, now - last), now
    print(f"the loop's longest turn meanwhile: {worst * 1000:.1f} ms")
    here = threading.get_ident()
    assert sum(size for thread, size in watched.calls if thread == here) <= (
        PROMPT_BYTES_INLINE_MAX)
    assert len({thread for thread, _ in watched.calls} - {here}) == 1
    assert max(size for _, size in watched.calls) <= PIECE_CHARACTERS_MAX
    assert sum(size for _, size in watched.calls) >= sum(map(len, texts))
    assert count.approximate is (texts == PROMPTS["one letter"])


async def test_a_count_that_fails_is_none(
    executor: ThreadPoolExecutor, encodings: Encodings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ValueError

    monkeypatch.setattr(module, "count_prompt", broken)
    counting = inline(executor, encodings)
    count: PromptCount = counting.prompt(
        CHAT, FIELDS, PROMPT_BYTES_INLINE_MAX + 1, encoding_for("gpt-4o"), "acct_1")
    told = asyncio.Event()
    count.when_done = told.set
    await asyncio.wait_for(told.wait(), 5)
    assert (count.pending, count.tokens) == (False, None)


async def test_a_count_is_exact_or_says_that_it_is_not(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    for model, approximate in (("gpt-4o", False), ("claude-sonnet-4-5", True)):
        count = counting.prompt(CHAT, FIELDS, 100, encoding_for(model), "acct_1")
        assert count.approximate is approximate
    assert PromptCount().approximate


async def test_a_long_burst_of_a_reply_is_counted_on_the_thread(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    counter = counting.text_counter(encoding_for("gpt-4o"))
    told = asyncio.Event()
    counter.when_done = told.set
    counter.add("word " * LOOP_CHARACTERS_MAX)
    assert counter.pending == 1 and counter.approximate
    await asyncio.wait_for(told.wait(), 5)
    assert not counter.approximate
    assert counter.total() == encodings.count("o200k_base", "word " * LOOP_CHARACTERS_MAX)[0]


async def test_too_much_that_waits_for_the_thread_is_estimated(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    counting = inline(executor, encodings)
    go = threading.Event()
    executor.submit(go.wait, 10)
    size = QUEUED_CHARACTERS_MAX + 1
    first = counting.prompt(CHAT, FIELDS, size, encoding_for("gpt-4o"), "acct_1")
    assert first.pending
    claude = encoding_for("claude-sonnet-4-5")
    second = counting.prompt(CHAT, FIELDS, 8000, claude, "acct_1")
    assert (second.pending, second.tokens, second.approximate) == (False, 2300, True)
    counter = counting.text_counter(encoding_for("gpt-4o"))
    counter.add("x y " * LOOP_CHARACTERS_MAX)
    assert counter.pending == 0 and counter.approximate
    assert abs(counter.total() - LOOP_CHARACTERS_MAX) <= 2
    go.set()
    told = asyncio.Event()
    first.when_done = told.set
    await asyncio.wait_for(told.wait(), 5)
    assert first.tokens == 9
    again = counting.prompt(CHAT, FIELDS, 8000, claude, "acct_1")
    assert again.pending
    again.when_done = told.set
    told.clear()
    await asyncio.wait_for(told.wait(), 5)


async def test_what_waits_to_be_counted_keeps_no_body_from_being_read(
    executor: ThreadPoolExecutor, encodings: Encodings
) -> None:
    """One key could have so much counted that the long bodies of all others were refused."""
    go, told = threading.Event(), asyncio.Event()
    executor.submit(go.wait, 10)
    found: list[int | None] = []
    with ThreadPoolExecutor(1) as reader:
        counting = Counting(
            MeteringConfig(), encodings, executor, PromptMemo(b"s" * 32), reader)
        counts = [counting.prompt(CHAT, FIELDS, QUEUED_CHARACTERS_MAX + 1,
                                  encoding_for("gpt-4o"), "acct_1") for _ in range(2)]
        assert [count.pending for count in counts] == [True, False]
        counting.aside(1, lambda length: (found.append(length), told.set())[1], len, b"abc")
        await asyncio.wait_for(told.wait(), 5)
        assert found == [3] and counts[0].pending
        told.clear()
        counts[0].when_done = told.set
        go.set()
        await asyncio.wait_for(told.wait(), 5)


async def test_an_executor_that_was_shut_down_counts_nothing(encodings: Encodings) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    counting = inline(executor, encodings)
    count = counting.prompt(CHAT, FIELDS, 8000, encoding_for("gpt-4o"), "acct_1")
    assert (count.pending, count.tokens, count.approximate) == (False, None, True)
    counter = counting.text_counter(encoding_for("gpt-4o"))
    counter.add("x y " * LOOP_CHARACTERS_MAX)
    assert counter.pending == 0 and counter.approximate and counter.total() > 0


async def test_a_long_reply_s_record_waits_for_its_count(opened: Opened) -> None:
    text = b"word " * 20_000
    answer = message(b'{"choices":[{"message":{"content":"%b"}}]}' % text)
    lane = await opened(lambda _: Answer(answer))
    body = BODY.replace(b"test-model", b"gpt-4o")
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, body))).status == 200
    [record] = await lane.settled(1)
    assert record.counted_output_tokens == record.output_tokens == 20_001
    assert record.usage_source == "counted"
    plane = plane_of(lane)
    assert plane.unsettled == 0 and plane.idle


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
