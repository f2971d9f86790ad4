"""Reservations: what calls under way may cost is set aside from a prepaid balance.

Law: money is set aside before a call is sent, in one step, and given back once, whatever becomes
of the call. Calls that say how much they may use are never served beyond what is there. A call
that does not say it is admitted on an estimate, and then alone takes all that is left: so a
balance is overdrawn by no more than what one such call costs beyond its estimate. Amounts are
nano-units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from relayd.core.errors import RelayError
from relayd.core.money import decimal
from relayd.core.price import Price, UnitPrices

HELD_RETRY_MS: Final = 1000
"""When to try again while calls under way hold what would have been enough."""
ALONE_RETRY_MS: Final = 5000
"""The same where one call holds all: most take seconds, and SDKs try twice more before they give
up, Codex five times."""
_MILLION: Final = 1_000_000
_MINUTE: Final = 60


class Quantity(NamedTuple):
    """How much of everything one call may use at most; tokens, images, seconds of audio,
    searches of the web."""

    input_tokens: int = 0
    output_tokens: int = 0
    images: int = 0
    audio_seconds: int = 0
    searches: int = 0


class Demand(NamedTuple):
    """What a call may cost: about, and at most. They are the same where its body bounds both its
    input and its output."""

    about: int
    most: int


def cost(quantity: Quantity, price: Price, hour: bool = False) -> int:
    """What so much costs at most, rounded up: every token is paid as the dearest of its side.
    `hour`: the call may put its input in a provider's cache for so long."""
    unit = price.of(quantity.input_tokens)
    given = max(_input(unit), unit.cache_creation_1h) if hour else _input(unit)
    millionths = (quantity.input_tokens * given + quantity.output_tokens * _output(unit))
    rest = -(-quantity.audio_seconds * unit.audio_minute // _MINUTE)
    rest += unit.call + quantity.images * unit.image
    if quantity.searches:
        rest += quantity.searches * unit.search + unit.search_call
    return -(-millionths // _MILLION) + rest


def _input(unit: UnitPrices) -> int:
    return max(unit.input, unit.cache_creation, unit.audio_input, unit.image_input)


def _output(unit: UnitPrices) -> int:
    return max(unit.output, unit.reasoning, unit.audio_output, unit.image_output)


class Wallet:
    """One account's money in one currency, as one process sees it.

    `posted` is what the store has: what was paid in, less what its records cost. Calls that were
    settled here and are not in the store yet are `unposted`.
    """

    __slots__ = ("currency", "posted", "credit", "reserved", "alone", "_calls", "_sum")

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.posted = 0
        self.credit = 0
        self.reserved = 0
        self.alone = False
        """A call without a bound of its own has taken all that was left."""
        self._calls: dict[str, tuple[int, int]] = {}
        self._sum = 0

    @property
    def available(self) -> int:
        """What may still be spent; below 0 where it is overdrawn."""
        return self.posted + self.credit - self._sum - self.reserved

    @property
    def unposted(self) -> Mapping[str, tuple[int, int]]:
        """Calls that the store may not have yet: (start in Unix ms, amount) by id."""
        return self._calls

    def reserve(self, demand: Demand) -> Hold:
        """Sets money aside, or raises `balance_short` or, where waiting helps, `balance_held`."""
        available = self.available
        if demand.most <= max(available, 0):
            return self._hold(demand.most, False)
        if demand.about <= available and not self.alone:
            return self._hold(max(available, 1), True)
        if demand.about <= available + self.reserved:
            raise RelayError("balance_held", retry_after_ms=(
                ALONE_RETRY_MS if self.alone else HELD_RETRY_MS))
        raise RelayError("balance_short", detail=(
            f"This call may cost {decimal(demand.about, 2)} {self.currency}; "
            f"{decimal(max(available, 0), 2)} is left. Ask for less output, or top up."))

    def take(self, nano: int) -> Hold:
        """Sets money aside whether it is there or not: for what runs already."""
        return self._hold(nano, False)

    def _hold(self, nano: int, alone: bool) -> Hold:
        self.reserved += nano
        self.alone = self.alone or alone
        return Hold(self, nano, alone)

    def settled(self, call_id: str, started_at_ms: int, nano: int) -> None:
        """A call was settled here."""
        if nano > 0:
            self._calls[call_id] = started_at_ms, nano
            self._sum += nano

    def install(self, posted: int, credit: int, known: Collection[str]) -> None:
        """Takes what the store says, and forgets the calls that it holds."""
        self.posted = posted
        self.credit = credit
        if known and self._calls:
            self._calls = {name: call for name, call in self._calls.items() if name not in known}
            self._sum = sum(nano for _, nano in self._calls.values())

    @property
    def idle(self) -> bool:
        """True where nothing is under way here."""
        return not self.reserved and not self._calls


class Hold:
    """What one call holds of a wallet, until `settle` or `void`; both are harmless when repeated.
    """

    __slots__ = ("wallet", "nano", "responses", "_alone", "_held", "_each", "_used")

    def __init__(self, wallet: Wallet, nano: int, alone: bool) -> None:
        self.wallet = wallet
        self.nano = nano
        self.responses = 1
        """Of a session, that have not ended."""
        self._alone = alone
        self._held = True
        self._each = nano
        self._used = 0

    def grow(self, nano: int) -> None:
        """A session has used so much by now: taken at once, so that others see it."""
        self._used = max(self._used, nano)
        self._fit()

    def expect(self, responses: int) -> None:
        """So many responses of a session have not ended: beyond one, each holds what the session
        held from its start."""
        self.responses = responses
        self._fit()

    def _fit(self) -> None:
        coming = self.responses * self._each if self.responses > 1 else 0
        nano = max(self._each, self._used + coming)
        if self._held:
            self.wallet.reserved += nano - self.nano
            self.nano = nano

    def void(self) -> None:
        """The call costs nothing."""
        if self._held:
            self._held = False
            self.wallet.reserved -= self.nano
            if self._alone:
                self.wallet.alone = False

    def settle(self, call_id: str, started_at_ms: int, nano: int) -> None:
        """The call's amount takes the place of what was set aside."""
        if self._held:
            self.void()
            self.wallet.settled(call_id, started_at_ms, nano)
