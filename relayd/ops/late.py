"""Libraries that are imported when first used: most daemons never need them, and start sooner.

A module that uses one names it twice: under TYPE_CHECKING, for what checks types, and as `Late`.

Law: what is used on the event loop is made ready before, on a thread: calls go on beside it.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from types import ModuleType
from typing import Any


class Late:
    """Stands for a module until one of its names is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._loaded(), attribute)

    def _loaded(self) -> ModuleType:
        if self._module is None:
            self._module = import_module(self._name)
        return self._module


async def ready(module: object) -> None:
    """Imports a module that may be late, on a thread."""
    if isinstance(module, Late) and module._module is None:
        await asyncio.to_thread(module._loaded)
