"""The real application in this process, between a raw upstream and whoever calls it."""

from __future__ import annotations

import asyncio
import io
import shutil
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

import uvloop

from relayd.app import App
from relayd.control import account, key, usage
from relayd.core.provider import Address, Api, DataTerms, Provider, Timeouts
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.ops.clock import unix_ms
from relayd.ops.config import (
    Config, MeteringConfig, PrivacyConfig, ServerConfig, StoreConfig,
)
from relayd.ops.logging import Logger
from relayd.relay.tokenizer import NAMES, Encodings
from relayd.store.db import open_database
from relayd.store.record import CallFilter
from tests.fakes.database import kept_folder, new_store
from tests.fakes.rawupstream import Answer, Answerer, RawUpstream, message

APIS: Mapping[Api, str] = {"openai": "/v1", "anthropic": "", "gemini": ""}
"""The three dialects, and the path in each one's base URL."""
CREDENTIAL = "sk-upstream-credential"
EMAIL = "someone@example.com"
"""Whose the key of most tests is."""
PATIENCE_SECONDS = 15.0
ANSWER = (
    b'{"id":"x","object":"chat.completion","created":1,"model":"test-model","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)
PATIENT: Final = Timeouts(connect=5.0, first_byte=5.0, idle=5.0)
"""A busy machine does not reach them."""
BRISK: Final = {"timeouts": Timeouts(connect=1.0, first_byte=1.0, idle=1.0)}
"""`provider_changes` for a test that waits for one of them to pass."""
Result = TypeVar("Result")


def plain_answer(_: object = None) -> Answer:
    """A chat completion, whatever was asked."""
    return Answer(message(ANSWER))


def provider(
    api: Api, port: int, scheme: Literal["http", "https"] = "http", **changes: Any
) -> Provider:
    """A provider of this API on loopback, in no hurry."""
    made = Provider(api, api, Address(scheme, "127.0.0.1", port, APIS[api]), (CREDENTIAL,),
                    timeouts=PATIENT,
                    terms=DataTerms("no"))
    return replace(made, **changes)


def config(
    directory: Path, port: int, *, patterns: tuple[str, ...] = ("*",),
    server: Mapping[str, Any] | None = None, provider_changes: Mapping[str, Any] | None = None,
    privacy: PrivacyConfig | None = None, scheme: Literal["http", "https"] = "http",
    **changes: Any,
) -> Config:
    """Three providers on one port, every route to all of them, listeners on free ports.

    `changes` are fields of Config that a test sets itself.
    """
    every = tuple(Deployment(api) for api in APIS)
    made = Config(
        providers={api: provider(api, port, scheme, **(provider_changes or {})) for api in APIS},
        routes=tuple(Route(pattern, every) for pattern in patterns),
        server=ServerConfig(**{"listen": ("127.0.0.1:0",), "header_seconds": 1.0,
                               "body_seconds": 2.0, "drain_seconds": 1.0, "leave_seconds": 0.05,
                               **(server or {})}),
        ops_listen="127.0.0.1:0", console_listen="127.0.0.1:0",
        store=StoreConfig(str(directory)),
        metering=MeteringConfig(flush_seconds=0.05),
        privacy=privacy or PrivacyConfig(),
    )
    return replace(made, **changes)


@cache
def encodings() -> Encodings:
    """The tokenizer's files: hundreds of megabytes, the same for every relay of this process."""
    loaded = Encodings()
    loaded.load(NAMES)
    return loaded


class Lane:
    """A relay with its store and its own upstream: `async with Lane(directory) as lane`.

    `address` is where clients go, `key` what they send; `upstream` records and answers;
    `records()` reads the store; `log` is what the relay logged, at debug level. Other arguments
    are those of `config`.
    """

    def __init__(
        self, directory: Path, answer: Answerer = plain_answer, *,
        upstream_tls: ssl.SSLContext | None = None, email: str = EMAIL,
        **wishes: Any,
    ) -> None:
        self.store = directory
        self.upstream = RawUpstream(answer, tls=upstream_tls)
        self.log = io.StringIO()
        self.key = ""
        self._email = email
        self.app: App = None  # type: ignore[assignment]
        self._wishes = wishes

    async def __aenter__(self) -> Lane:
        await self.upstream.start()
        self.key = await issue(self.store, self._email)
        scheme = "https" if self.upstream.tls else "http"
        settings = config(self.store, self.upstream.port, scheme=scheme, **self._wishes)
        self.app = App(settings, logger=Logger("debug", self.log))
        self.app._encodings = encodings()
        await self.app.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.app.stop()
        await self.upstream.stop()

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of the public listener."""
        return self.app.address

    async def records(self) -> list[CallRecord]:
        """What the store holds now, oldest first."""
        return await records(self.store)

    async def record(self, call_id: bytes) -> CallRecord:
        """The record of a call by its x-request-id, once it has been flushed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for found in await self.records():
                    if found.id == call_id.decode():
                        return found
                await asyncio.sleep(0.02)

    async def settled(self, count: int) -> list[CallRecord]:
        """All records, once there are `count` of them."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found := await self.records()) < count:
                await asyncio.sleep(0.02)
        return found


async def issue(directory: Path, email: str = EMAIL) -> str:
    """A new account's key, in a store that is made where there is none.

    A new store with the account of most tests is the copy of one: they have the same key.
    """
    if email != EMAIL or directory.exists():
        return await _issued(directory, email)
    furnished, text = _furnished()
    shutil.copytree(furnished, directory)
    return text


@cache
def _furnished() -> tuple[Path, str]:
    """A store with an account, until this process ends, and the account's key."""
    store = kept_folder("relayd-issued-") / "store"
    with ThreadPoolExecutor(1) as beside:  # who asks has a loop of his own
        return store, beside.submit(asyncio.run, _issued(store, EMAIL)).result()


async def _issued(directory: Path, email: str) -> str:
    db = await new_store(directory)
    try:
        owner = await account.create(db, email, None, unix_ms())
        issued = await key.create(db, owner.id, key.KeyWish("tests"), unix_ms())
    finally:
        await db.close()
    return issued.text


async def records(directory: Path) -> list[CallRecord]:
    """The call records of a store, oldest first."""
    db = await open_database(directory)
    try:
        return [record async for record in usage.calls(db, CallFilter())]
    finally:
        await db.close()


@contextmanager
def own_loop() -> Iterator[Callable[[Coroutine[Any, Any, Result]], Result]]:
    """A uvloop that outlives single tests, without asyncio's debug mode: yields its `run`."""
    with asyncio.Runner(debug=False, loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run
