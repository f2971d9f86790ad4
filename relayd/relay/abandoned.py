"""Calls whose client has left and whose reply is read on: `on_client_close = "drain"`.

The provider bills what it generates, and says how much with its last event; reading on costs its
time and tells the figure. With `drain_uncounted` calls are read on that nobody else can count:
who leaves just before the last event would have documents, searches and thoughts for nothing.
Law: nothing is written for such a call, it is bounded in time and in number, and it settles once,
as every call does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayd.core.usage import Usage
from relayd.relay.counting import UNCOUNTED
from relayd.relay.exchange import ClientLeft, Exchange
from relayd.relay.tokenizer import encoding_for
from relayd.wire.walk import OPEN, UNTOLD

if TYPE_CHECKING:
    from relayd.relay.plane import Plane

_MEDIA: Final = frozenset({"image_generation", "image_edit", "transcription", "translation"})
"""Operations of which a part alone is seen to pass."""
_HIDING: Final = frozenset({
    "gpt-5.4", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o", "o-mini", "grok"})
"""Families (relay/tokenizer.py) whose thoughts are paid and are not shown."""


def is_uncountable(exchange: Exchange) -> bool:
    """Whether what the relay counts, and what has been reported so far, would leave out what the
    provider bills."""
    endpoint, copying = exchange.target.endpoint, exchange.copying
    if endpoint is None or endpoint.operation in UNCOUNTED:
        return False
    ask = exchange.ask
    marks = exchange.extent if ask is None else ask.marks
    if copying is not None and type(copying.usage_so_far()) is Usage:
        # Anthropic tells the prompt at first; others as much as there is
        return endpoint.api == "anthropic" and (exchange.prompt is None or UNTOLD in marks)
    return (exchange.prompt is None or endpoint.operation in _MEDIA or OPEN in marks
            or UNTOLD in marks
            or any(encoding_for(name).family in _HIDING
                   for name in (exchange.provider_model, exchange.model) if name))


class Abandoned:
    """The calls that are read on, and until when; times are monotonic seconds."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._due: dict[Exchange, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def take(self, exchange: Exchange) -> bool:
        """Whether the reply of a call whose client has just left is read on."""
        plane, server = self._plane, exchange.policy.server
        attempt = exchange.attempt
        if attempt is None or not exchange.asked or not exchange.body_complete or plane.draining:
            return False
        wanted = exchange.policy.providers[exchange.provider or ""].on_client_close
        if wanted == "cancel" or len(self) >= server.client_drains_max:
            return False
        if wanted == "drain_uncounted" and not is_uncountable(exchange):
            return False
        exchange.abandon()
        self._due[exchange] = plane.now() + server.client_drain_seconds
        exchange.connection.write_paused = False
        attempt.resume()
        return True

    def sweep(self, now: float) -> None:
        """Ends those that have had their time."""
        for exchange in [exchange for exchange, due in self._due.items() if due <= now]:
            exchange.interrupt(ClientLeft())

    def cut(self) -> None:
        """Ends all: the relay stops, and nobody waits for them."""
        for exchange in list(self._due):
            exchange.interrupt(ClientLeft())

    def end(self, exchange: Exchange) -> None:
        """A call is settled, whether it was read on or not."""
        exchange.end_abandoned()
        self._due.pop(exchange, None)
