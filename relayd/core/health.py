"""Health of deployments, from what became of calls. Pure: every method is told the time.

Law: nothing here waits and nothing is guessed. A circuit opens after failures in a row and lets
one trial through when its cooling has passed; a provider that asks to wait is left alone for so
long; what cannot be reached is left out, what answers badly is kept as the last resort, because a
provider's own error tells its client more than one of the relay's.

Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final

TRIP_FAILURES: Final = 5
"""Failures in a row that open a circuit."""
COOL_SECONDS: Final = 1.0
COOL_SECONDS_MAX: Final = 60.0
"""How long a circuit stays open at first; twice as long after every trial that fails."""
SHARE_SECONDS: Final = 5.0
SHARE_FAILURES_MIN: Final = 5
SHARE_MAX: Final = 0.1
"""Over the last 5 to 10 seconds so many failures, and more than this share of the results, put a
deployment behind the others: half of what the retry budget can bear (core/retry.py)."""
REST_SECONDS: Final = 2.0
REST_SECONDS_MAX: Final = 300.0
"""How long a credential rests where the provider does not say; doubled while it goes on."""
LATENCY_SECONDS: Final = 10.0
"""A first byte's time counts 1/e after so long."""


class State(Enum):
    """Where a deployment stands."""

    HEALTHY = "healthy"
    COOLING = "cooling"
    DOWN = "down"
    DRAINING = "draining"


class Event(Enum):
    """What moves it: failures enough, a trial that failed, an answer."""

    TRIPPED = "tripped"
    TRIAL_FAILED = "trial_failed"
    ANSWERED = "answered"


MOVES: Final[Mapping[State, Mapping[Event, State]]] = {
    State.HEALTHY: {Event.TRIPPED: State.COOLING, Event.ANSWERED: State.HEALTHY},
    State.COOLING: {Event.TRIAL_FAILED: State.DOWN, Event.ANSWERED: State.HEALTHY},
    State.DOWN: {Event.TRIAL_FAILED: State.DOWN, Event.ANSWERED: State.HEALTHY},
    State.DRAINING: {},
}
"""Nothing moves a circuit there: that a deployment drains is in the configuration."""


def advance(state: State, event: Event) -> State:
    """The next state; a move that the table does not hold is a programmer's error."""
    assert event in MOVES[state], f"{state.value}: {event.value}"
    return MOVES[state][event]


class Level(IntEnum):
    """In which order deployments are tried; OUT ones are not."""

    READY = 0
    STRAINED = 1
    LAST = 2
    OUT = 3


class Circuit:
    """Whether one thing works, by its results in a row and by their share."""

    __slots__ = ("state", "until", "hard", "streak", "on_trial", "troubled", "good", "_bad",
                 "_before", "_turned", "_times")

    def __init__(self) -> None:
        self.state = State.HEALTHY
        self.until = 0.0
        self.hard = False
        """Whether it is open because nothing answers, and not because of what is answered."""
        self.streak = 0
        self.on_trial = False
        self.troubled = False
        """Whether an answer has something to put right; every call asks."""
        self.good = 0
        """Answers since the last turn of the window; added to directly where nothing is amiss."""
        self._bad = 0
        self._before = (0, 0)
        self._turned = 0.0
        self._times = 0

    def answered(self) -> None:
        """It works."""
        self.good += 1
        self.streak = self._times = 0
        self.on_trial = self.troubled = False
        self.state = advance(self.state, Event.ANSWERED)

    def failed(self, now: float, hard: bool) -> None:
        """It does not; `hard`: it could not be reached, or never answered."""
        self._turn(now)
        self._bad += 1
        self.streak += 1
        self.troubled = True
        if self.state is State.HEALTHY:
            if self.streak < TRIP_FAILURES:
                return
            self.state = advance(self.state, Event.TRIPPED)
        elif now < self.until and not self.on_trial:
            return  # begun before it opened: says nothing new
        else:
            self.state = advance(self.state, Event.TRIAL_FAILED)
        self.hard = hard
        self.on_trial = False
        self.until = now + min(COOL_SECONDS * 2 ** self._times, COOL_SECONDS_MAX)
        self._times = min(self._times + 1, 10)

    def begin(self, now: float) -> bool:
        """A call starts; True where it is the trial, which must then end in one of the three."""
        if self.state is State.HEALTHY or self.on_trial or now < self.until:
            return False
        self.on_trial = True
        return True

    def gave_up(self) -> None:
        """The trial ended without a result: the client left."""
        self.on_trial = False

    def level(self, now: float) -> Level:
        """How much a call can expect of it."""
        if self.state is not State.HEALTHY and (self.on_trial or now < self.until):
            return Level.OUT if self.hard else Level.LAST
        troubled = self._bad or self._before[1]
        return Level.STRAINED if troubled and self._strained(now) else Level.READY

    def wait(self, now: float) -> float:
        """Seconds until the next trial."""
        return 0.0 if self.state is State.HEALTHY else max(0.0, self.until - now)

    def _strained(self, now: float) -> bool:
        self._turn(now)
        bad = self._bad + self._before[1]
        return (bad >= SHARE_FAILURES_MIN
                and bad > SHARE_MAX * (bad + self.good + self._before[0]))

    def _turn(self, now: float) -> None:
        """Two windows, the older one let go when the newer one has passed."""
        passed = now - self._turned
        if passed >= SHARE_SECONDS:
            fresh = passed < 2 * SHARE_SECONDS
            self._before = (self.good, self._bad) if fresh else (0, 0)
            self.good = self._bad = 0
            self._turned = now


class Latency:
    """Peak-EWMA of the first byte's time: a rise counts at once, a fall little by little."""

    __slots__ = ("seconds", "_at")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._at = 0.0

    def observe(self, now: float, seconds: float) -> None:
        """One first byte."""
        if seconds >= self.seconds:
            self.seconds = seconds
        else:
            kept = math.exp(-max(0.0, now - self._at) / LATENCY_SECONDS)
            self.seconds = self.seconds * kept + seconds * (1 - kept)
        self._at = now

    def expected(self, now: float) -> float:
        """The same as of now: what is not asked any more is forgiven its last slow answer, or it
        would never be asked again."""
        return self.seconds * math.exp(-max(0.0, now - self._at) / LATENCY_SECONDS)


class Credentials:
    """The credentials of one deployment: they take turns, each rests by itself."""

    __slots__ = ("many", "_turn", "_rests", "_spare", "_strikes")

    def __init__(self, count: int) -> None:
        self.many = count > 1
        """Whether there is a turn to take; every call asks."""
        self._turn = -1
        self._rests = [0.0] * count
        self._spare = [0.0] * count
        self._strikes = [0] * count

    def __len__(self) -> int:
        return len(self._rests)

    def take(self, now: float) -> int:
        """The next one in turn that is ready; else one with little left, else the first rested."""
        count = len(self._rests)
        if count < 2:
            return 0
        turns = [(self._turn + 1 + step) % count for step in range(count)]
        self._turn = min(turns, key=lambda n: (
            self._rests[n] if self._rests[n] > now else 0.0, self._spare[n] > now))
        return self._turn

    def ready(self, now: float) -> int:
        """How many do not rest."""
        return sum(until <= now for until in self._rests)

    def rest(self, turn: int, now: float, seconds: float | None) -> None:
        """The provider refused it; `seconds`: what the provider asked for."""
        strikes = self._strikes[turn]
        if seconds is None:
            seconds = REST_SECONDS * 2 ** strikes
        self._strikes[turn] = min(strikes + 1, 10)
        self._rests[turn] = max(self._rests[turn], now + min(seconds, REST_SECONDS_MAX))

    def spare(self, turn: int, now: float, seconds: float) -> None:
        """The provider says that little is left of its limit until then."""
        self._spare[turn] = now + min(seconds, REST_SECONDS_MAX)

    def answered(self, turn: int) -> None:
        """It was taken."""
        self._strikes[turn] = 0

    def level(self, now: float) -> Level:
        """How much a call can expect of the best of them."""
        if not self._rests or any(
                rest <= now and spare <= now for rest, spare in zip(self._rests, self._spare)):
            return Level.READY
        return Level.STRAINED if self.ready(now) else Level.LAST

    def wait(self, now: float) -> float:
        """Seconds until one is rested."""
        return max(0.0, min(self._rests, default=0.0) - now)


class Health:
    """All that is known of one deployment. `reach` is shared by all of its provider."""

    __slots__ = ("reach", "circuit", "credentials", "latency")

    def __init__(self, reach: Circuit, credentials: int) -> None:
        self.reach = reach
        self.circuit = Circuit()
        self.credentials = Credentials(credentials)
        self.latency = Latency()

    def state(self, now: float) -> State:
        """The worse of its circuits; cooling too where every credential rests."""
        for state in (State.DOWN, State.COOLING):
            if state in (self.reach.state, self.circuit.state):
                return state
        resting = self.credentials.level(now) is Level.LAST
        return State.COOLING if resting else State.HEALTHY

    def level(self, now: float) -> Level:
        """How much a call can expect."""
        return max(self.reach.level(now), self.circuit.level(now), self.credentials.level(now))

    def wait(self, now: float) -> float:
        """Seconds until it may be worth a call."""
        return max(self.reach.wait(now), self.circuit.wait(now))

    def begin(self, now: float) -> tuple[Circuit, ...]:
        """A call starts; the circuits whose trial it is."""
        return tuple(c for c in (self.reach, self.circuit) if c.begin(now))

    def answered(self) -> None:
        """A reply's head came, and it is no failure of the deployment."""
        self.reach.answered()
        self.circuit.answered()
