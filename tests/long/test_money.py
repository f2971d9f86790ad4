"""The books of money on long random walks: payments, refunds, disputes, credit that is given and
expires, codes, subscriptions, calls; messages and calls that come again, too late and in any
order; transactions that are cut; the store closed and opened.

`make test-long` takes 100,000 steps on one walk and 100,000 as a state machine, whose failures
hypothesis makes short; the ordinary suite a few hundred. RELAYD_SEED chooses another walk.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.long.relays import LONG
from tests.long.walk import WEIGHTS, Walk, open_walk

STEPS = 100_000 if LONG else 600
LOOK_EVERY = 2_000 if LONG else 100
OPEN_AGAIN_EVERY = 10_000 if LONG else 300
SEED = int(os.environ.get("RELAYD_SEED", "20261"))
EXAMPLES, EXAMPLE_STEPS = (500, 200) if LONG else (4, 60)
OFTEN = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    made = await open_walk(tmp_path / "store", SEED)
    yield made
    await made.db.close()


async def test_the_books_are_right_at_any_time(walk: Walk) -> None:
    for number in range(1, STEPS + 1):
        await walk.random_step()
        if number % LOOK_EVERY == 0:
            await walk.look()
        if number % OPEN_AGAIN_EVERY == 0:
            await walk.open_again()
    await walk.look()
    print(f"\n{STEPS} steps: {dict(sorted(walk.done.items()))}")
    # the walk has been everywhere
    assert all(walk.done[name] for name in (
        *WEIGHTS, "credited", "returned", "released", "bounced", "held", "disputed", "won", "lost",
        "already", "other_amount", "too_late", "died", "redeemed", "subscribed", "renewed",
        "unpaid", *(("followed",) if LONG else ())))


class Books(RuleBasedStateMachine):
    """The same steps as hypothesis chooses them; every tenth is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="relayd-books-")
        self.steps = 0

    @initialize()
    def begin(self) -> None:
        self.walk = self.runner.run(open_walk(Path(self.folder.name) / "store", 0))

    @rule(name=st.sampled_from(OFTEN), seed=st.integers(0, 2 ** 32))
    def step(self, name: str, seed: int) -> None:
        self.runner.run(self.one(name, seed))

    async def one(self, name: str, seed: int) -> None:
        self.walk.dice = random.Random(seed)
        await self.walk.take(name)
        self.steps += 1
        if self.steps % 10 == 0:
            await self.walk.look()

    def teardown(self) -> None:
        self.runner.run(self.end())
        self.runner.close()
        self.folder.cleanup()

    async def end(self) -> None:
        try:
            await self.walk.look()
        finally:
            await self.walk.db.close()


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=EXAMPLE_STEPS, deadline=None, database=None,
    suppress_health_check=list(HealthCheck))
