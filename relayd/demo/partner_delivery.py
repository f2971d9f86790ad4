"""The demo partners' messages on their way: sent, and sent again until somebody takes them.

Law: a message keeps its id and its content through all repetitions; its time and signature are
those of each sending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from relayd.ops.tasks import Tasks

RETRY_SECONDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0)
TIMEOUT_SECONDS: Final = 10.0
Signer = Callable[[bytes], tuple[dict[str, str], bytes]]


@dataclass(slots=True)
class Message:
    """One message. `sign` gives headers and body of a sending now; `statuses`: what came back."""

    address: str
    body: bytes = field(repr=False)
    sign: Signer = field(repr=False)
    statuses: list[int] = field(default_factory=list)

    @property
    def is_taken(self) -> bool:
        """Whether a sending was answered with success."""
        return any(200 <= status < 300 for status in self.statuses)


class Delivery:
    """Sends messages. `messages` has all there were; with `by_itself` False they wait for `send`.
    """

    def __init__(self, tasks: Tasks, *, by_itself: bool = True,
                 retry_seconds: Sequence[float] = RETRY_SECONDS) -> None:
        self._tasks = tasks
        self.by_itself = by_itself
        self._retry_seconds = retry_seconds
        self.messages: list[Message] = []

    def post(self, message: Message) -> None:
        """Takes a message, and sends it in the background."""
        self.messages.append(message)
        if self.by_itself:
            self._tasks.spawn("partner message", self._deliver(message))

    async def _deliver(self, message: Message) -> None:
        for pause in (0.0, *self._retry_seconds):
            await asyncio.sleep(pause)
            await self.send(message)
            if message.is_taken:
                return

    async def send(self, message: Message) -> int:
        """One sending; the status of the answer, 0 where there was none."""
        headers, body = message.sign(message.body)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with aiohttp.ClientSession(trust_env=False, timeout=timeout) as session:
                async with session.post(
                        message.address, data=body, headers=headers, allow_redirects=False,
                ) as answer:
                    status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = 0
        message.statuses.append(status)
        return status
