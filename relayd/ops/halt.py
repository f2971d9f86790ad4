"""The word to stop, for jobs that sleep between their looks for longer than a beat."""

from __future__ import annotations

import asyncio


class Halt:
    """Given once, by `give()`; it ends the sleep that is under way and all that follow."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def given(self) -> bool:
        """Whether the job is to stop."""
        return self._event.is_set()

    def give(self) -> None:
        """Stop, as soon as what is under way is done."""
        self._event.set()

    async def comes_within(self, seconds: float) -> bool:
        """Sleeps for so long, or until the word is given; True where it has been."""
        try:
            async with asyncio.timeout(seconds):
                return await self._event.wait()
        except TimeoutError:
            return False
