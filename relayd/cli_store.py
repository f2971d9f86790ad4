"""How commands reach the store: open it, work, close it, and say what went wrong.

Law: safe beside a running daemon; a command holds the store no longer than its own transactions.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from relayd.cli_command import FAULT, CommandError, Run
from relayd.ops import configfile
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError

Work = Callable[[Database, argparse.Namespace], Awaitable[int]]


def in_store(work: Work) -> Run:
    """A command's function from one that works on an open store.

    Reads the configuration for the store's place alone: providers' credentials, which the
    operator's shell need not have, are left alone.
    """

    def run(arguments: argparse.Namespace) -> int:
        path = arguments.config or configfile.default_path()
        store = configfile.load(path, secrets="skip").store.path
        try:
            return asyncio.run(_with_store(Path(store), work, arguments))
        except StoreError as error:
            raise CommandError(f"store {store}: {error.kind.message}", FAULT) from None

    return run


async def _with_store(directory: Path, work: Work, arguments: argparse.Namespace) -> int:
    db = await open_database(directory)
    try:
        return await work(db, arguments)
    finally:
        await db.close()
