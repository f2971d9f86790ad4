"""When a call's tokens are counted, and where: inline, on a thread, or not at all (audit mode).

Counting never delays a byte: a prompt is counted after the request has gone to the provider, and a
long one on a thread. `relay/count.py` and `relay/prompt_count.py` hold how it is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Final

from relayd.ops.config import MeteringConfig
from relayd.relay.count import TextCounter
from relayd.relay.prompt_count import PROMPT_BYTES_INLINE_MAX, count_prompt
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.tokenizer import Encodings, ModelEncoding, encoding_for
from relayd.wire.dialect import Endpoint

PLACES_MAX: Final = 4096
"""Deployments whose reporting is remembered in audit mode; beyond it they are learned anew."""

UNCOUNTED: Final = frozenset({"count_tokens", "count"})
"""Endpoints that only count: their answers bill nothing."""


class PromptCount:
    """The relay's own count of a prompt: there at once, or `when_done` is called later."""

    __slots__ = ("tokens", "pending", "when_done")

    def __init__(self) -> None:
        self.tokens: int | None = None
        self.pending = False
        self.when_done: Callable[[], None] | None = None

    def done(self, tokens: int | None) -> None:
        """The count has come, or failed (None)."""
        self.tokens = tokens
        self.pending = False
        if self.when_done is not None:
            self.when_done()


class Counting:
    """Starts the counts of a call as `[metering] mode` wants them."""

    def __init__(self, metering: MeteringConfig, encodings: Encodings, executor: Executor,
                 memo: PromptMemo) -> None:
        self._memo = memo
        self._inline = metering.mode == "inline"
        self._audit_every = metering.audit_every
        self._encodings = encodings
        self._executor = executor
        self._calls = 0
        self._reports: dict[tuple[str, str, str], bool] = {}

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
        known = self._reports.get((provider, model, endpoint.operation), False)
        return not known or self._calls % self._audit_every == 0

    def reported(self, provider: str, model: str, endpoint: Endpoint, usage: bool) -> None:
        """Notes whether a completed call's provider gave its usage."""
        if not self._inline:
            if len(self._reports) >= PLACES_MAX:
                self._reports.clear()
            self._reports[provider, model, endpoint.operation] = usage

    def encoding(self, model: str) -> ModelEncoding:
        """The encoding that stands for a model."""
        return encoding_for(model)

    def text_counter(self, encoding: ModelEncoding) -> TextCounter:
        """A counter for the text of one reply."""
        return TextCounter(self._encodings, encoding)

    def prompt(
        self, endpoint: Endpoint, fields: Mapping[str, object], size: int,
        encoding: ModelEncoding, account: str,
    ) -> PromptCount:
        """Counts a prompt of `size` bytes of JSON: now if it is short, else on a thread."""
        count = PromptCount()
        memo = self._memo.of(account)
        if size <= PROMPT_BYTES_INLINE_MAX:
            count.done(count_prompt(endpoint, fields, encoding, self._encodings, memo))
            return count
        count.pending = True
        future = asyncio.get_running_loop().run_in_executor(
            self._executor, count_prompt, endpoint, fields, encoding, self._encodings, memo)
        future.add_done_callback(lambda f: count.done(_result(f)))
        return count


def _result(future: asyncio.Future[int]) -> int | None:
    if future.cancelled() or future.exception() is not None:
        return None
    return future.result()
