"""Fifty wrong passwords a second from many addresses: locked out and slowed, nobody else notices.

The real application with its real hashes. What is measured at the same time: calls at the relay,
and the sign-ins of somebody else.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession

from relayd.control import password, registration
from relayd.control.door import Caller, Door
from relayd.control.registration import Proof, Registration
from relayd.core.consent import REQUIRED
from relayd.core.guard import ACCOUNT_MAX
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.config import ConsoleConfig
from relayd.ops.hashing import Hashing
from tests.fakes.daemon import Lane
from tests.fakes.door import mailed_token
from tests.fakes.rawclient import RawClient, request_bytes
from tests.http.play import BODY, TARGET

PER_SECOND = 50
SECONDS = 4
PASSWORD = "a phrase that nobody guesses"
VICTIM, OTHER = "victim@example.org", "other@example.org"


@dataclass
class Seen:
    """What was answered: statuses of the flood, and how long others waited."""

    statuses: Counter[int] = field(default_factory=Counter)
    refused_ms: list[float] = field(default_factory=list)
    sign_ins: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    failed: int = 0


@asynccontextmanager
async def stage(path: Path) -> AsyncIterator[Lane]:
    """A relay with its console; two people have accounts."""
    async with Lane(path, server={"trusted_proxies": ("127.0.0.0/8",)},
                    console=ConsoleConfig(registration="open")) as lane:
        hashing = Hashing()
        door = Door(lane.app.db, hashing, lambda: "https://relay.test", steady_seconds=0.0)
        for at, email in enumerate((VICTIM, OTHER)):
            wish = Registration(email, f"user-{at}", PASSWORD, True, frozenset(REQUIRED))
            caller = Caller("192.0.2.1", "curl")
            mark = await registration.register(door, wish, caller, unix_ms())
            token = await mailed_token(door.db, "verify_email")
            await registration.verify(door, token, Proof(mark), caller, unix_ms())
        hashing.close()
        yield lane


def console_of(lane: Lane) -> str:
    assert lane.app.console is not None
    host, port = lane.app.console.listener.address
    return f"http://{host}:{port}"


async def attempt(http: ClientSession, origin: str, login: str, text: str, address: str) -> int:
    async with http.post(
            f"{origin}/api/v1/sessions", json={"login": login, "password": text},
            headers={"X-Forwarded-For": address}) as answer:
        await answer.read()
        return answer.status


async def flood(lane: Lane, seen: Seen, login: Callable[[int], str], seconds: float) -> None:
    """Wrong passwords at a steady pace, each from another network."""
    origin = console_of(lane)

    async def one(at: int) -> None:
        began = monotonic()
        address = f"10.{at // 250 % 250}.{at % 250}.9"
        status = await attempt(http, origin, login(at), "wrong", address)
        seen.statuses[status] += 1
        if status == 429:
            seen.refused_ms.append((monotonic() - began) * 1000)

    async with ClientSession() as http, asyncio.TaskGroup() as group:
        began = monotonic()
        for at in range(int(seconds * PER_SECOND)):
            await asyncio.sleep(max(0.0, began + at / PER_SECOND - monotonic()))
            group.create_task(one(at))


async def until(done: asyncio.Event, work: Callable[[], Awaitable[float]],
                pause: float, into: list[float]) -> None:
    while not done.is_set():
        into.append(await work())
        await asyncio.sleep(pause)


async def watched(lane: Lane, seen: Seen, work: Awaitable[None]) -> None:
    """Somebody else signs in, and calls are relayed, while `work` goes on."""
    done = asyncio.Event()
    origin = console_of(lane)
    request = request_bytes(TARGET, lane.key, BODY)

    async def signs_in() -> float:
        began = monotonic()
        status = await attempt(http, origin, OTHER, PASSWORD, "198.51.100.7")
        seen.failed += status != 201
        return monotonic() - began

    async def calls() -> float:
        began = monotonic()
        answer = await client.ask(request)
        assert answer.status == 200
        return monotonic() - began

    async with ClientSession() as http, RawClient(lane.address) as client, \
            asyncio.TaskGroup() as group:
        group.create_task(until(done, signs_in, 0.2, seen.sign_ins))
        group.create_task(until(done, calls, 0.02, seen.calls))
        await work
        done.set()


def shown(name: str, quiet: Seen, seen: Seen) -> None:
    print(f"\n{name}: answers {dict(seen.statuses)}, refused in "
          f"{statistics.median(seen.refused_ms or [0]):.1f} ms; "
          f"calls {statistics.median(quiet.calls) * 1000:.1f} -> "
          f"{statistics.median(seen.calls) * 1000:.1f} ms (median); another's sign-in "
          f"{statistics.median(quiet.sign_ins) * 1000:.0f} -> "
          f"{statistics.median(seen.sign_ins) * 1000:.0f} ms, at most "
          f"{max(seen.sign_ins) * 1000:.0f} ms, {seen.failed} of {len(seen.sign_ins)} failed")


async def test_one_account_is_locked_and_nobody_else_notices(tmp_path: Path) -> None:
    async with stage(tmp_path / "store") as lane:
        quiet, seen = Seen(), Seen()
        await watched(lane, quiet, asyncio.sleep(2))
        await watched(lane, seen, flood(lane, seen, lambda _: VICTIM, SECONDS))
        shown("one account", quiet, seen)
        assert sum(seen.statuses.values()) == PER_SECOND * SECONDS
        assert set(seen.statuses) == {401, 429}
        # each that was heard took a hash; far fewer than came
        assert seen.statuses[401] <= ACCOUNT_MAX
        assert quiet.failed == seen.failed == 0
        # 200 hashes in front of it would be some ten seconds
        assert statistics.median(seen.sign_ins) < statistics.median(quiet.sign_ins) + 2
        assert statistics.median(seen.calls) < statistics.median(quiet.calls) * 4 + 0.05
        # the owner cannot sign in by password either, until a mailed link has set another
        async with ClientSession() as http:
            status = await attempt(http, console_of(lane), VICTIM, PASSWORD, "203.0.113.5")
        assert status == 429
        known, _ = await password.known(lane.app.db, VICTIM)
        assert known is not None and known.state == "active"


async def test_many_accounts_at_once_leave_the_relay_alone(tmp_path: Path) -> None:
    """Each attempt is at another name: all are hashed, as far as the queue goes."""
    async with stage(tmp_path / "store") as lane:
        quiet, seen = Seen(), Seen()
        await watched(lane, quiet, asyncio.sleep(2))
        await watched(lane, seen, flood(
            lane, seen, lambda at: f"nobody-{at}@example.org", SECONDS))
        shown("many accounts", quiet, seen)
        assert set(seen.statuses) <= {401, 503}
        assert statistics.median(seen.calls) < statistics.median(quiet.calls) * 4 + 0.05
        # whoever was right from there before does not wait for the others
        assert seen.failed == 0
        assert statistics.median(seen.sign_ins) < statistics.median(quiet.sign_ins) + 2


@pytest.mark.parametrize("login", [VICTIM, "nobody@example.org"])
async def test_a_known_and_an_unknown_name_are_locked_alike(tmp_path: Path, login: str) -> None:
    async with stage(tmp_path / "store") as lane:
        seen = Seen()
        await flood(lane, seen, lambda _: login, 2)
        assert seen.statuses[401] <= ACCOUNT_MAX and set(seen.statuses) == {401, 429}
