"""Hashing: Argon2id with the parameters that are written, few threads, a queue that ends."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from relayd.core.errors import RelayError
from relayd.ops.clock import monotonic
from relayd.ops.hashing import FAVOURED_MAX, NICE, Hashing

PASSWORD = "four words of canary 7"


@pytest.fixture
def hashing() -> Iterator[Hashing]:
    made = Hashing()
    yield made
    made.close()


async def test_the_parameters_are_those_that_are_written(hashing: Hashing) -> None:
    hashed = await hashing.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and PASSWORD not in hashed
    assert await hashing.right(hashed, PASSWORD)
    assert not await hashing.right(hashed, PASSWORD + "x")
    assert not await hashing.right("no hash", PASSWORD)
    assert hashed != await hashing.hash(PASSWORD)


async def test_a_hash_of_other_parameters_is_outdated(hashing: Hashing) -> None:
    older = Hashing(memory_kib=8192, time_cost=1)
    try:
        hashed = await older.hash(PASSWORD)
    finally:
        older.close()
    assert hashing.outdated(hashed) and await hashing.right(hashed, PASSWORD)
    assert not hashing.outdated(await hashing.hash(PASSWORD))


async def test_nobody_s_password_takes_as_long(hashing: Hashing) -> None:
    hashed = await hashing.hash(PASSWORD)
    assert not await hashing.right(None, PASSWORD)
    took = []
    for each in (hashed, None):
        began = monotonic()
        for _ in range(5):
            assert not await hashing.right(each, "wrong")
        took.append(monotonic() - began)
    assert 0.4 < took[0] / took[1] < 2.5


async def test_beyond_the_queue_it_is_refused_at_once() -> None:
    hashing = Hashing(threads=1, queue_max=2)
    try:
        work = [hashing.right(None, PASSWORD) for _ in range(10)]
        done = await asyncio.gather(*work, return_exceptions=True)
    finally:
        hashing.close()
    refused = [each for each in done if isinstance(each, RelayError)]
    assert len(refused) == 7 == hashing.refused and hashing.waiting == 0
    assert {each.code for each in refused} == {"sign_in_busy"}


async def test_a_flood_leaves_places_for_who_was_right_before() -> None:
    hashing = Hashing(threads=1, queue_max=1, memory_kib=64, time_cost=1)
    try:
        flood = [hashing.right(None, PASSWORD) for _ in range(10)]
        own = [hashing.right(None, PASSWORD, favoured=True) for _ in range(FAVOURED_MAX + 3)]
        working = asyncio.gather(*flood, *own, return_exceptions=True)
        await asyncio.sleep(0)
        assert hashing.waiting == 2 + FAVOURED_MAX
        done = await working
    finally:
        hashing.close()
    refused = [isinstance(each, RelayError) for each in done]
    assert sum(refused[:10]) == 8 and sum(refused[10:]) == 3 and hashing.waiting == 0


async def test_the_threads_step_back(hashing: Hashing) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = niceness()
    assert await hashing._run(niceness) == max(own, NICE)
    assert niceness() == own


async def test_a_sandbox_that_keeps_them_from_it_keeps_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr("relayd.ops.hashing.os.setpriority", refused)
    hashing = Hashing(memory_kib=64)
    try:
        assert await hashing.right(await hashing.hash("a"), "a")
    finally:
        hashing.close()


async def test_the_score(hashing: Hashing) -> None:
    assert await hashing.score("password1234", ()) <= 1
    assert await hashing.score("correct horse battery staple", ()) == 4
    assert await hashing.score("annabelle1987", ("annabelle1987",)) == 0
    assert await hashing.score("x" * 256, ("y" * 300,)) <= 2
