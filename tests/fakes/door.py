"""A door with cheap hashes, and the mails that it posted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest

from relayd.control import mail, registration
from relayd.control.door import Caller, Door
from relayd.control.registration import Proof, Registration
from relayd.control.session import Opened
from relayd.core.consent import REQUIRED
from relayd.ops.hashing import Hashing
from relayd.store.db import Database
from tests.fakes.editions import publish_first
from tests.fakes.records import START_MS

ORIGIN: Final = "https://relay.test"
EMAIL: Final = "Canary.Person@example.org"
USERNAME: Final = "canary-user"
PASSWORD: Final = "canary pass of four words"
CALLER: Final = Caller("192.0.2.7", "Firefox on Linux")
WISH: Final = Registration(EMAIL, USERNAME, PASSWORD, True, frozenset(REQUIRED))


@pytest.fixture
async def door(db: Database) -> AsyncIterator[Door]:
    """A door of `db`, with its documents published."""
    await publish_first(db)
    hashing = Hashing(memory_kib=64, time_cost=1)
    yield Door(db, hashing, lambda: ORIGIN, steady_seconds=0.0)
    hashing.close()


async def mails(db: Database, now_ms: int = START_MS * 2) -> list[tuple[str, str, dict[str, str]]]:
    """(kind, recipient, fields) of what waits in the outbox, and it is sent."""
    found = []
    for each in await mail.due(db, now_ms, 100):
        found.append((each.mail.kind, each.letter.recipient, each.letter.fields))
        await mail.sent(db, each.mail, now_ms)
    return found


async def mailed_token(db: Database, kind: str) -> str:
    """The token in the last mail of this kind."""
    links = [fields["link"] for name, _, fields in await mails(db) if name == kind]
    return links[-1].partition("token=")[2]


async def registered(door: Door, wish: Registration = WISH, now_ms: int = START_MS) -> Opened:
    """A registered and verified holder's first session; their mails are sent."""
    await registration.register(door, wish, CALLER, now_ms)
    token = await mailed_token(door.db, "verify_email")
    return await registration.verify(door, token, Proof(password=wish.password), CALLER, now_ms)
