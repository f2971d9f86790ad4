"""Where concurrent work starts and ends: tasks of the event loop, and stories of the relay path.

Law: no fire-and-forget. A task is held until it ends and its failure is reported by type; a story
is driven by the events it waits for and ends with its exchange.

A `Story` runs one coroutine without a task: it goes on at once, in the callback that wakes it, and
costs 1.2 us where a task and its turns of the loop cost 6.7 (docs/decisions/0002).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

OnFailure = Callable[[str, BaseException], None]


class Tasks:
    """Spawns tasks by name, holds them, and cancels what is left at the end.

    `failed` has the names of those that ended with an error.
    """

    def __init__(self, on_failure: OnFailure) -> None:
        self.failed: set[str] = set()
        self._on_failure = on_failure
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts `work` as a task; a failure of it is reported under `name`, never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.add(task.get_name())
            self._on_failure(task.get_name(), error)

    async def close(self) -> None:
        """Cancels every task that still runs and waits for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class Pause:
    """What a story waits on: `await PAUSE` returns at the next `wake()`; the state tells why."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


PAUSE = Pause()


class Story:
    """Drives one coroutine that only ever awaits `PAUSE`."""

    __slots__ = ("_coroutine", "_waiting", "_error")

    def __init__(self, coroutine: Coroutine[None, None, None]) -> None:
        self._coroutine = coroutine
        self._waiting = True
        self._error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """True once the coroutine has returned."""
        return self._coroutine is None

    def wake(self) -> None:
        """Lets the story look at the state again; nothing happens while it is running or ended."""
        if not self._waiting:
            return
        self._waiting = False
        try:
            self._coroutine.send(None)
        except StopIteration:
            self._coroutine = None  # type: ignore[assignment]
            return
        if self._error is None:
            self._waiting = True
        else:
            self._throw(self._error)

    def interrupt(self, error: BaseException) -> None:
        """Raises `error` where the story waits, or at its next pause if it is running now."""
        if self._waiting:
            self._waiting = False
            self._throw(error)
        elif self._coroutine is not None and self._error is None:
            self._error = error

    def _throw(self, error: BaseException | None) -> None:
        """Raises `error` in the story, and whatever it is interrupted by meanwhile."""
        try:
            while error is not None:
                self._error = None
                self._coroutine.throw(error)
                error = self._error
        except StopIteration:
            self._coroutine = None  # type: ignore[assignment]
        else:
            self._waiting = True
