"""Rounds: a first pause, then one after another until the word to stop, which ends a pause."""

from __future__ import annotations

import asyncio
import io
import json
import time

from relayd.core.errors import RelayError
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds


class Counting(Rounds):
    """A job that counts its rounds, stops itself in the one of this number, or fails in one."""

    rounds = 0
    last = 3
    fails = 0

    async def _look(self) -> int:
        self.rounds += 1
        if self.rounds == self.last:
            assert not self._stops
            await self.stop()
            assert self._stops
        if self.rounds == self.fails:
            raise RelayError("store_busy")
        return self.rounds


async def test_it_goes_round_until_it_is_stopped() -> None:
    job = Counting("fault", 0.01)
    await asyncio.wait_for(job.run(), 5)
    assert job.rounds == 3
    await asyncio.wait_for(job.run(), 5)
    assert job.rounds == 3


async def test_the_word_to_stop_ends_a_pause_and_no_round_follows() -> None:
    began = time.monotonic()
    for job, rounds in ((Counting("fault", 60.0), 1), (Counting("fault", 0.0, 60.0), 0)):
        running = asyncio.create_task(job.run())
        await asyncio.sleep(0.1)
        assert not running.done() and job.rounds == rounds
        await job.stop()
        await asyncio.wait_for(running, 5)
        assert job.rounds == rounds
    assert time.monotonic() - began < 10


async def test_the_first_round_comes_after_its_pause() -> None:
    job = Counting("fault", 60.0, 0.01)
    job.last = 1
    await asyncio.wait_for(job.run(), 5)
    assert job.rounds == 1


async def test_a_pause_passes_or_is_ended() -> None:
    job = Counting("fault", 60.0)
    assert not await job._stops_within(0.01)
    await job.stop()
    assert await job._stops_within(60.0)


async def test_a_failure_is_counted_and_told_and_ends_no_job() -> None:
    said = io.StringIO()
    job = Counting("sweep_failed", 0.01, log=Logger("info", said))
    job.fails = 2
    assert [await job.look() for _ in range(2)] == [1, None]
    line = json.loads(said.getvalue())
    assert (line["event"], line["level"], line["code"]) == ("sweep_failed", "error", "store_busy")
    job.rounds = 0
    await asyncio.wait_for(job.run(), 5)
    assert (job.rounds, job.failures) == (3, 2)
    job._failed(RelayError("store_failed"), part="sessions")
    assert json.loads(said.getvalue().splitlines()[-1])["part"] == "sessions"
