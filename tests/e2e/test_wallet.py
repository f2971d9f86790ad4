"""A real daemon's prepaid balance, spent by 64 clients of the official SDK at once: exactly what
is paid for is served, the rest get the SDK's own exceptions; also across a kill -9."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest

from relayd.control import account, ledger, posting, wallet
from relayd.core.money import NANO
from relayd.core.posting import move
from relayd.ops.clock import unix_ms
from relayd.store import posting as store_posting
from relayd.store.db import open_database
from tests.fakes.daemon import plain_answer, records
from tests.fakes.process import DaemonProcess
from tests.fakes.rawupstream import RawUpstream

EMAIL = "someone@example.com"
CENT = NANO // 100
CALLS = 100
CLIENTS = 64


class Prepaid(DaemonProcess):
    """A daemon that serves what is paid for; a call is a cent."""

    def _config(self) -> str:
        (self.directory / "prices.toml").write_text('[[price]]\nmodel = "*"\ncall = "0.01"\n')
        return super()._config() + "[billing]\nprepaid = true\n"


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    made = RawUpstream(plain_answer)
    await made.start()
    yield made
    await made.stop()


async def pay(store: Path, nano: int) -> None:
    db = await open_database(store)
    try:
        who = await account.find(db, EMAIL)
        async with db.writing() as transaction:
            await store_posting.post(transaction, move(
                "top_up", "order:1:credited", nano, "USD", account=who.id, partner="card"),
                unix_ms())
    finally:
        await db.close()


async def left(store: Path) -> int:
    """What is left, once everything is charged; the books must be right."""
    db = await open_database(store)
    try:
        await wallet.charge_all(db, unix_ms())
        assert await posting.verify(db) == [] and await ledger.verify(db) == []
        return sum(found.nano for found in await wallet.money(db, EMAIL))
    finally:
        await db.close()


async def ask(client: openai.AsyncOpenAI) -> str:
    """What came of a call, as the SDK tells it."""
    try:
        await client.chat.completions.create(
            model="test-model", messages=[{"role": "user", "content": "x"}])
    except openai.RateLimitError as error:
        assert error.status_code == 429
        return "RateLimitError"
    except openai.APIStatusError as error:
        assert error.status_code == 402 and error.code == "insufficient_quota"
        return "APIStatusError 402"
    except openai.APIConnectionError:
        return "gone"
    return "served"


async def spend(daemon: DaemonProcess, each: int, found: Counter[str]) -> None:
    """So many calls of each client, one after the other."""
    async def one() -> None:
        async with openai.AsyncOpenAI(
                base_url=f"http://127.0.0.1:{daemon.address[1]}/v1", api_key=daemon.key,
                max_retries=0, http_client=openai.DefaultAsyncHttpxClient(verify=False)) as client:
            for _ in range(each):
                found[await ask(client)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(one())


async def until_served(daemon: DaemonProcess) -> None:
    """Until the relay knows of the money; this spends a call."""
    found: Counter[str] = Counter()
    async with openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{daemon.address[1]}/v1", api_key=daemon.key,
            max_retries=0, http_client=openai.DefaultAsyncHttpxClient(verify=False)) as client:
        async with asyncio.timeout(10):
            while not found["served"]:
                found[await ask(client)] += 1
                await asyncio.sleep(0.05)


async def test_sixty_four_clients_are_served_what_is_paid_for(
    tmp_path: Path, upstream: RawUpstream
) -> None:
    async with Prepaid(tmp_path / "daemon", upstream.port) as daemon:
        await pay(daemon.store, CALLS * CENT)
        await until_served(daemon)
        found: Counter[str] = Counter()
        await spend(daemon, 4, found)
        assert found["served"] == CALLS - 1 == len(upstream.requests) - 1
        assert set(found) <= {"served", "RateLimitError", "APIStatusError 402"}
        assert found.total() == 4 * CLIENTS
        assert await daemon.end(signal.SIGTERM) == 0
        assert await left(daemon.store) == 0


async def until_refused(daemon: DaemonProcess, found: Counter[str]) -> None:
    """Until nothing is served for a second: what the journal brings back may give some back."""
    refused = 0
    while refused < 10:
        before = found["served"]
        await spend(daemon, 1, found)
        refused = 0 if found["served"] > before else refused + 1
        await asyncio.sleep(0.1)


async def test_a_kill_charges_nothing_twice_and_loses_no_more_than_was_under_way(
    tmp_path: Path, upstream: RawUpstream
) -> None:
    async with Prepaid(tmp_path / "daemon", upstream.port) as daemon:
        await pay(daemon.store, CALLS * CENT)
        await until_served(daemon)
        found: Counter[str] = Counter({"served": 1})
        spending = asyncio.create_task(spend(daemon, 2, found))
        async with asyncio.timeout(20):
            while len(upstream.requests) < CALLS // 3:
                await asyncio.sleep(0.001)
        assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
        await spending
        assert found["gone"] and found["served"] < CALLS
        before = found["served"]
        await daemon.start()
        await until_refused(daemon, found)
        assert await daemon.end(signal.SIGTERM) == 0
        kept = await records(daemon.store)
        assert len(kept) == len({record.id for record in kept})
        charged = [record for record in kept if record.amount_nano]
        assert {record.amount_nano for record in charged} == {CENT}
        # every cent is spent and none twice
        assert len(charged) == CALLS and await left(daemon.store) == 0
        # whoever was served has paid, but those whose answer was whole before the daemon noted it
        free = [record for record in kept if record.error == "daemon_died"
                and not record.amount_nano]
        assert len(free) <= CLIENTS
        assert before < found["served"] <= CALLS + len(free)
        assert len(upstream.requests) >= CALLS
