"""When a call's tokens are counted, and where: inline, on a thread, or not at all (audit mode).

Counting never delays a byte: a prompt is counted after the request has gone to the provider, and a
long one on a thread. `relay/count.py` and `relay/prompt_count.py` hold how it is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Final, TypeVar

import msgspec

from relayd.ops.config import MeteringConfig
from relayd.ops.configfile import hash_seed_chosen
from relayd.relay.count import TEXT_CHARACTERS_MAX, Count, TextCounter, count_text
from relayd.relay.prompt_count import PROMPT_BYTES_INLINE_MAX, count_prompt
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.prompt_plain import plain_chat
from relayd.relay.prompt_tally import TooLong
from relayd.relay.tokenizer import BYTES_PER_TOKEN, Encodings, ModelEncoding, estimate
from relayd.wire.dialect import Endpoint
from relayd.wire.known import hash_is_secret
from relayd.wire.spliced import Run, Spliced

PLACES_MAX: Final = 4096
"""Deployments whose reporting is remembered in audit mode; beyond it they are learned anew."""

QUEUED_CHARACTERS_MAX: Final = 16 * 1024 * 1024
"""Beyond so much that waits for the thread (5 s at worst) counts are estimates by length."""

Result = TypeVar("Result")

UNCOUNTED: Final = frozenset({"count_tokens", "count"})
"""Endpoints that only count: their answers bill nothing."""


class PromptCount(msgspec.Struct):
    """The relay's own count of a prompt: there at once, or `when_done` is called later."""

    tokens: int | None = None
    approximate: bool = True
    pending: bool = False
    when_done: Callable[[], None] | None = None

    def done(self, count: Count | None) -> None:
        """The count has come, or failed (None)."""
        if count is not None:
            self.tokens, self.approximate = count[0], not count[1]
        self.pending = False
        if self.when_done is not None:
            self.when_done()


class Counting:
    """Starts the counts of a call as `[metering] mode` wants them.

    Bodies are read by a thread of their own: whoever sends much to be counted would make others'
    wait or be refused.
    """

    def __init__(self, metering: MeteringConfig, encodings: Encodings, executor: Executor,
                 memo: PromptMemo, reader: Executor | None = None) -> None:
        self._memo = memo if hash_is_secret(hash_seed_chosen()) else None
        self._inline = metering.mode == "inline"
        self._audit_every = metering.audit_every
        self._encodings = encodings
        self._counter = _Thread(executor)
        self._reader = self._counter if reader is None else _Thread(reader)
        self._calls = 0
        self._reports: dict[tuple[str, str, str], int] = {}
        """How many calls of a deployment are counted before it is taken to report."""

    def adopt(self, metering: MeteringConfig) -> None:
        """Takes the mode of a new configuration."""
        self._inline = metering.mode == "inline"
        self._audit_every = metering.audit_every

    def wanted(self, provider: str, model: str, endpoint: Endpoint) -> bool:
        """Whether this call is counted: in audit mode until its deployment is known to report."""
        if endpoint.operation in UNCOUNTED:
            return False
        if self._inline:
            return True
        self._calls += 1
        owed = self._reports.get((provider, model, endpoint.operation), 1)
        return owed > 0 or self._calls % self._audit_every == 0

    def reported(self, provider: str, model: str, endpoint: Endpoint, usage: bool) -> None:
        """Notes whether a completed call's provider gave its usage.

        One that does so now and then (of replies, say, but not of streams) is not believed soon:
        what was not counted then has no figures at all.
        """
        if not self._inline:
            place = provider, model, endpoint.operation
            owed = self._reports.get(place, 1)
            if usage and not owed:
                return  # as it is known to
            if len(self._reports) >= PLACES_MAX:
                self._reports.clear()
            if usage:
                self._reports[place] = owed - 1
            else:
                self._reports[place] = owed or self._audit_every

    def text_counter(self, encoding: ModelEncoding) -> TextCounter:
        """A counter for the text of one reply."""
        return TextCounter(self._encodings, encoding, self._count_elsewhere)

    def prompt(
        self, endpoint: Endpoint, fields: Mapping[str, object], size: int,
        encoding: ModelEncoding, account: str,
    ) -> PromptCount:
        """Counts a prompt of `size` bytes of JSON: now if little is new, else on a thread."""
        memo = None
        if self._memo is not None:
            memo = self._memo.accounts.get(account) or self._memo.of(account)
        if memo is not None and size <= PROMPT_BYTES_INLINE_MAX and endpoint.operation == "chat":
            plain = plain_chat(fields, encoding, self._encodings, memo)
            if plain is not None:
                return PromptCount(plain[0], not plain[1])
        count = PromptCount()
        if size <= PROMPT_BYTES_INLINE_MAX or _in_elements(fields):
            try:
                count.tokens, exact = count_prompt(
                    endpoint, fields, encoding, self._encodings, memo, PROMPT_BYTES_INLINE_MAX)
            except TooLong:
                pass
            else:
                count.approximate = not exact
                return count
        if self._counter.queued > QUEUED_CHARACTERS_MAX:
            count.done((encoding.scaled(size // BYTES_PER_TOKEN), False))
            return count
        count.pending = True
        self._counter.run(size, count.done, count_prompt, endpoint, fields, encoding,
                          self._encodings, memo)
        return count

    def _count_elsewhere(self, name: str, text: str, done: Callable[[Count | None], None]) -> None:
        if self._counter.queued > QUEUED_CHARACTERS_MAX:
            done((estimate(text), False))
        else:
            self._counter.run(len(text), done, count_text, self._encodings, name, text,
                              TEXT_CHARACTERS_MAX)

    def aside(self, size: int, done: Callable[[Result | None], None],
              work: Callable[..., Result], *arguments: object) -> None:
        """Has other work on `size` bytes done by a thread; `done` is called on the loop, with
        None where that failed or too much waits already."""
        if self._reader.queued > QUEUED_CHARACTERS_MAX:
            done(None)
        else:
            self._reader.run(size, done, work, *arguments)


class _Thread:
    """What one thread does, and how much waits for it."""

    def __init__(self, executor: Executor) -> None:
        self.queued = 0
        self._executor = executor

    def run(self, size: int, done: Callable[[Result | None], None],
            work: Callable[..., Result], *arguments: object) -> None:
        """Works on the thread; `done` is called on the loop, with None where that failed."""
        self.queued += size

        def take(future: asyncio.Future[Result]) -> None:
            self.queued -= size
            done(_result(future))

        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        except RuntimeError:  # the executor has been shut down
            self.queued -= size
            done(None)
        else:
            future.add_done_callback(take)


def _in_elements(fields: Mapping[str, object]) -> bool:
    """Whether there are elements whose counts the memo may know."""
    for value in fields.values():
        if type(value) is list and value and type(value[-1]) in (Spliced, Run):
            return True
    return False


def _result(future: asyncio.Future[Result]) -> Result | None:
    if future.cancelled() or future.exception() is not None:
        return None
    return future.result()
