"""The console over real sockets, on a real store, visited by aiohttp's client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar

from relayd.console import pages
from relayd.console.listener import ConsoleListener
from relayd.console.route import Route
from relayd.console.services import Services
from relayd.core.fleet import Fleet
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.store.db import Database
from tests.fakes.database import new_store

NOW_MS = 1_800_000_000_000


@dataclass
class Console:
    """A running console. `now_ms` may be moved; `http` keeps cookies as a browser does."""

    db: Database
    config: Config
    now_ms: int = NOW_MS
    routes: tuple[Route, ...] = pages.ROUTES
    listener: ConsoleListener = field(init=False)
    http: ClientSession = field(init=False)

    async def start(self) -> None:
        services = self.services()
        services.now_ms = lambda: self.now_ms
        services.routes = self.routes
        self.listener = ConsoleListener("127.0.0.1:0", services, self.routes)
        await self.listener.start()
        self.http = self.browser()

    def services(self) -> Services:
        return pages.services(self.db, lambda: self.config, Logger("error"), lambda: Fleet((), ()))

    def browser(self) -> ClientSession:
        """A new one, without cookies."""
        return ClientSession(cookie_jar=CookieJar(unsafe=True))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.listener.address[1]}"

    async def get(self, path: str, **more: Any) -> ClientResponse:
        return await self.http.get(self.origin + path, allow_redirects=False, **more)

    async def post(self, path: str, form: Any = None, **more: Any) -> ClientResponse:
        """As a page's form does: with the Origin that a browser adds."""
        headers = {"Origin": self.origin, **more.pop("headers", {})}
        return await self.http.post(self.origin + path, data=form, headers=headers,
                                    allow_redirects=False, **more)

    async def stop(self) -> None:
        await self.http.close()
        await self.listener.stop()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    made = await new_store(tmp_path / "store")
    yield made
    await made.close()


@pytest.fixture
async def console(db: Database) -> AsyncIterator[Console]:
    made = Console(db, Config(providers={}, routes=()))
    await made.start()
    yield made
    await made.stop()


async def started(db: Database, routes: Iterable[Route], **changes: object) -> Console:
    """A console of these routes alone."""
    config = replace(Config(providers={}, routes=()), **changes)  # type: ignore[arg-type]
    made = Console(db, config, routes=tuple(routes))
    await made.start()
    return made
