"""How commands reach the store: open it, work, close it, say what went wrong, write what it has.

Law: safe beside a running daemon; a command holds the store no longer than its own transactions.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from relayd.cli_command import FAULT, CommandError, Run, configured
from relayd.control import keyring
from relayd.core.price import PriceBook
from relayd.ops import clock
from relayd.ops.config import Config, StoreConfig
from relayd.store import parcel
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError

Work = Callable[[Database, argparse.Namespace], Awaitable[int]]
PricedWork = Callable[[Database, argparse.Namespace, PriceBook], Awaitable[int]]
ConfiguredWork = Callable[[Database, argparse.Namespace, Config], Awaitable[int]]


def in_store(work: Work) -> Run:
    """A command's function from one that works on an open store.

    Reads the configuration for the store's place alone: providers' credentials, which the
    operator's shell need not have, are left alone.
    """

    async def unpriced(db: Database, arguments: argparse.Namespace, _: PriceBook) -> int:
        return await work(db, arguments)

    return in_priced_store(unpriced)


def in_priced_store(work: PricedWork) -> Run:
    """The same for one that needs the configuration's prices too."""

    async def priced(db: Database, arguments: argparse.Namespace, config: Config) -> int:
        return await work(db, arguments, config.prices)

    return in_configured_store(priced)


def in_configured_store(work: ConfiguredWork) -> Run:
    """The same for one that needs the configuration, without any credential."""

    def run(arguments: argparse.Namespace) -> int:
        config = configured(arguments)
        try:
            return asyncio.run(_with_store(
                config.store, lambda db: work(db, arguments, config)))
        except StoreError as error:
            raise CommandError(
                f"store {config.store.path}: {error.sentence}", FAULT) from None

    return run


async def write(name: str, pieces: AsyncIterator[bytes]) -> None:
    """Writes a new file that its user alone reads; it has its name once it is whole."""
    try:
        await parcel.write_new(Path(name), pieces)
    except FileExistsError:
        raise CommandError(f"{name} is there already.") from None
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {error.strerror}.") from None


async def _with_store(store: StoreConfig, work: Callable[[Database], Awaitable[int]]) -> int:
    db = await open_database(Path(store.path), master=store.master_key, beside=True)
    try:
        with suppress(StoreError):  # where others write all the time the next one does it
            await keyring.tell(db, clock.unix_ms())
        return await work(db)
    finally:
        await db.close()
