"""A console with its documents published and strangers let in, and what its mails say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse

from relayd.control.door import Door
from relayd.core.consent import REQUIRED
from relayd.ops.config import Config, ConsoleConfig
from relayd.ops.hashing import Hashing
from relayd.store.db import Database
from tests.console.conftest import Console
from tests.fakes.door import mails
from tests.fakes.editions import publish_first

EMAIL = "canary.person@example.org"
USERNAME = "canary-user"
PASSWORD = "canary pass of four words"
FORM: dict[str, Any] = {"email": EMAIL, "username": USERNAME, "password": PASSWORD,
                        "old_enough": "on", "agreed": list(REQUIRED)}
ORDER: dict[str, Any] = {**FORM, "old_enough": True}


class OpenConsole(Console):
    """Strangers may sign up. `door` hashes cheaply and answers without waiting."""

    door: Door

    def services(self) -> Any:
        made = super().services()
        made.door.hashing.close()
        made.door = self.door = Door(
            self.db, Hashing(memory_kib=64, time_cost=1), lambda: self.origin,
            steady_seconds=0.0)
        return made

    async def mailed(self, kind: str) -> str:
        """The path and query of the link in the last mail of a kind."""
        links = [fields["link"] for name, _, fields in await mails(self.db, self.now_ms)
                 if name == kind]
        assert links[-1].startswith(self.origin)
        return links[-1].removeprefix(self.origin)

    async def token(self, kind: str) -> str:
        """The token of that link."""
        return (await self.mailed(kind)).partition("token=")[2]

    async def form(self, path: str, fields: dict[str, Any] | None = None) -> ClientResponse:
        """Sends a form of a page that is shown: with its hidden token."""
        shown = await (await self.get("/legal/cookies")).text()
        _, _, after = shown.partition('name="csrf" value="')
        pairs = [("csrf", after.partition('"')[0])]
        for name, value in (fields or {}).items():
            pairs += [(name, each) for each in (value if isinstance(value, list) else [value])]
        return await self.post(path, pairs)

    async def api(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """(status, JSON) of a program's call."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.browser() as program, program.request(
                method, self.origin + "/api/v1" + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, (await answer.json() if text else None)

    async def signed_up(self, **changes: Any) -> str:
        """A new holder's session, as a program has it."""
        status, _ = await self.api("POST", "/registrations", {**ORDER, **changes})
        assert status == 202
        status, said = await self.api(
            "POST", "/registrations/verify", {
                "token": await self.token("verify_email"),
                "password": changes.get("password", PASSWORD)})
        assert status == 201
        return str(said["token"])


@pytest.fixture
async def opened(db: Database) -> AsyncIterator[OpenConsole]:
    """The console, open to strangers."""
    await publish_first(db)
    config = Config(providers={}, routes=(), console=ConsoleConfig(registration="open"))
    made = OpenConsole(db, config)
    await made.start()
    yield made
    await made.stop()
    made.door.hashing.close()
