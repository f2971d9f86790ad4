"""Limits: how much an account, a key, or an account with a model may use, and what it has in use.

Law: integers alone, and every time is given (nanoseconds that never go back, for rates; Unix
milliseconds for budgets). A check changes nothing, so all that apply are checked before any is
taken; nothing can come between the two, because neither waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from relayd.core.budget import Spending, next_day, next_month
from relayd.core.errors import RelayError
from relayd.core.money import decimal
from relayd.core.timestamp import rfc3339
from relayd.core.wildcard import Wildcard

MINUTE_NS: Final = 60_000_000_000
_MS: Final = 1_000_000
CONCURRENT_WAIT_NS: Final = 1_000_000_000
"""Nobody knows when a call ends; most do within seconds."""

Scope = Literal["account", "key", "model"]
_WHO: Final[Mapping[Scope, str]] = {
    "account": "This account", "key": "This API key", "model": "This account, with this model,",
}


class Limits(NamedTuple):
    """What a scope may use; 0: no limit. Budgets are amounts in nano-units, per UTC day, month."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent: int = 0
    daily_budget: int = 0
    monthly_budget: int = 0


NO_LIMITS: Final = Limits()
BUDGETS: Final = frozenset({"daily_budget", "monthly_budget"})
CAPS: Final = {"daily_cap": "daily_budget", "monthly_cap": "monthly_budget"}
"""What a holder sets for the own account, and the budget that it makes smaller: never larger."""
AMOUNTS: Final = BUDGETS | CAPS.keys()
LIMIT_MAX: Final = 10 ** 12
BUDGET_MAX: Final = 10 ** 18
"""A thousand million units of a currency; still a 64-bit integer."""


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What an account and its key were given of their own: values by the names of `Limits`; of
    an account also by those of `CAPS`."""

    account: Mapping[str, int] = field(default_factory=dict)
    key: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_budgets(self) -> bool:
        """Whether a budget is among them."""
        return any(own.get(name) for own in (self.account, self.key) for name in AMOUNTS)

    def of_account(self, defaults: Limits) -> Limits:
        """The account's limits: its own in the place of the defaults, then its holder's caps."""
        limits = defaults._replace(
            **{name: value for name, value in self.account.items() if name not in CAPS})
        for cap, name in CAPS.items():
            value, budget = self.account.get(cap, 0), getattr(limits, name)
            if value and (value < budget or not budget):
                limits = limits._replace(**{name: value})
        return limits


@dataclass(frozen=True, slots=True)
class LimitBook:
    """The configuration's limits: defaults per account, and those of an account with a model.

    `aliases` are other names of models: one without a line of its own is under its model's.
    """

    defaults: Limits = NO_LIMITS
    exact: Mapping[str, Limits] = field(default_factory=dict)
    patterns: tuple[tuple[Wildcard, str, Limits], ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, defaults: Limits, models: Mapping[str, Limits],
           aliases: Mapping[str, str] | None = None) -> LimitBook | None:
        """Builds the book once per configuration; None where it limits nothing."""
        models = {name: limits for name, limits in models.items() if any(limits)}
        if not any(defaults) and not models:
            return None
        patterns = sorted((name for name in models if "*" in name), key=lambda n: -len(n))
        return cls(
            defaults, {name: limits for name, limits in models.items() if "*" not in name},
            tuple((Wildcard(name), name, models[name]) for name in patterns), aliases or {})

    @property
    def has_budgets(self) -> bool:
        """Whether a budget is among them."""
        lines = (self.defaults, *self.exact.values(), *(limits for _, _, limits in self.patterns))
        return any(limits.daily_budget or limits.monthly_budget for limits in lines)

    def find(self, model: str) -> tuple[str, Limits] | None:
        """The line that is about a model, as (its name or pattern, limits): the most specific."""
        limits = self.exact.get(model)
        if limits is not None:
            return model, limits
        known = self.aliases.get(model)
        if known is not None and (line := self.find(known)) is not None:
            return line
        for pattern, name, found in self.patterns:
            if pattern.stands_for(model):
                return name, found
        return None


EMPTY_BOOK: Final = LimitBook()


class Bucket:
    """A token bucket: `size` units flow in evenly each minute, and a full one holds as many.

    Exact: what is in use is kept in units of 1/MINUTE_NS, as the moment at which none of it will
    be, times `size`: so nothing has to be brought up to date as time passes. More than a whole
    bucket is given to nobody but who finds it full, and is then paid off: so the limit is never
    passed by more than one such amount.
    """

    __slots__ = ("size", "_full")

    def __init__(self, size: int, now_ns: int) -> None:
        self.size = size
        self._full = now_ns * size

    def wait_ns(self, amount: int, now_ns: int) -> int:
        """How long until `amount` may be taken; 0: now."""
        size = self.size
        over = self._full - now_ns * size
        if amount < size:
            over -= (size - amount) * MINUTE_NS
        return -(-over // size) if over > 0 else 0

    def take(self, amount: int, now_ns: int) -> int:
        """Takes it, whether or not it is there; returns the mark that `correct` wants."""
        now = now_ns * self.size
        full = self._full
        self._full = full = (full if full > now else now) + amount * MINUTE_NS
        return full - now

    def correct(self, over: int, mark: int, taken_ns: int, now_ns: int) -> None:
        """Puts back what an estimate was `over` the truth, or takes what it was under.

        What flowed in since then has paid for some of the estimate already; at most that part is
        put back which cannot have been paid for, so no correction makes room that nobody had.
        """
        now = now_ns * self.size
        change = over * MINUTE_NS
        if change > 0:
            unpaid = max(0, mark - (now_ns - taken_ns) * self.size)
            change = min(change, unpaid)
        self._full = max(now, max(now, self._full) - change)

    def remaining(self, now_ns: int) -> int:
        """Whole units that are there."""
        used = self._full - now_ns * self.size
        if used <= 0:
            return self.size
        left = self.size - -(-used // MINUTE_NS)
        return left if left > 0 else 0

    def standing(self, now_ns: int) -> tuple[int, int, int]:
        """Its size, the whole units that are there, and in how many ms it is full again."""
        size = self.size
        used = self._full - now_ns * size
        if used <= 0:
            return size, size, 0
        left = size - -(-used // MINUTE_NS)
        return size, left if left > 0 else 0, -(-used // (size * _MS))

    def full_ns(self, now_ns: int) -> int:
        """How long until it is full again, if nobody takes anything."""
        used = self._full - now_ns * self.size
        return -(-used // self.size) if used > 0 else 0

    def resize(self, size: int, now_ns: int) -> None:
        """A changed limit; what is in use stays in use."""
        used = max(0, self._full - now_ns * self.size)
        self.size = size
        self._full = now_ns * size + used


class Obstacle(NamedTuple):
    """The limit that is in the way: whose, which, how high, and how long to wait.

    `wait_ns` is None where waiting is no matter of minutes.
    """

    scope: Scope
    name: str
    limit: int
    wait_ns: int | None


class Allowance:
    """What one scope may use, and what it has in use. `name` is an id, or a line of the book."""

    __slots__ = ("scope", "account", "name", "limits", "requests", "tokens", "running", "spending")

    def __init__(
        self, scope: Scope, account: str, name: str, limits: Limits, now_ns: int
    ) -> None:
        self.scope: Scope = scope
        self.account = account
        self.name = name
        self.limits = NO_LIMITS
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.running = 0
        self.spending: Spending | None = None
        self.change(limits, now_ns)

    def change(self, limits: Limits, now_ns: int) -> None:
        """Takes other limits; what is in use stays in use."""
        if limits == self.limits:
            return
        self.limits = limits
        self.requests = _resized(self.requests, limits.requests_per_minute, now_ns)
        self.tokens = _resized(self.tokens, limits.tokens_per_minute, now_ns)
        if not limits.daily_budget and not limits.monthly_budget:
            self.spending = None
        elif self.spending is None:
            self.spending = Spending()

    def admits(self, tokens: int, now_ns: int, now_ms: int) -> bool:
        """Whether `obstacles` would find none."""
        limits = self.limits
        if limits.concurrent and self.running >= limits.concurrent:
            return False
        requests, bucket, spending = self.requests, self.tokens, self.spending
        if requests is not None and requests.wait_ns(1, now_ns):
            return False
        if bucket is not None and bucket.wait_ns(tokens, now_ns):
            return False
        if spending is None:
            return True
        day, month = spending.spent(now_ms)
        return (not 0 < limits.daily_budget <= day) and not 0 < limits.monthly_budget <= month

    def obstacles(self, tokens: int, now_ns: int, now_ms: int) -> list[Obstacle]:
        """What keeps a call of so many tokens from being admitted now; nothing is taken."""
        limits = self.limits
        found = []
        if self.requests is not None and (wait := self.requests.wait_ns(1, now_ns)):
            found.append(self._obstacle("requests_per_minute", wait))
        if self.tokens is not None and (wait := self.tokens.wait_ns(tokens, now_ns)):
            found.append(self._obstacle("tokens_per_minute", wait))
        if limits.concurrent and self.running >= limits.concurrent:
            found.append(self._obstacle("concurrent", CONCURRENT_WAIT_NS))
        if self.spending is not None:
            day, month = self.spending.spent(now_ms)
            if limits.daily_budget and day >= limits.daily_budget:
                found.append(self._obstacle("daily_budget", None))
            if limits.monthly_budget and month >= limits.monthly_budget:
                found.append(self._obstacle("monthly_budget", None))
        return found

    def near(self, now_ms: int) -> bool:
        """Whether three quarters of a budget are spent."""
        if self.spending is None:
            return False
        day, month = self.spending.spent(now_ms)
        return any(0 < 3 * budget <= 4 * spent for budget, spent in (
            (self.limits.daily_budget, day), (self.limits.monthly_budget, month)))

    def _obstacle(self, name: str, wait_ns: int | None) -> Obstacle:
        return Obstacle(self.scope, name, getattr(self.limits, name), wait_ns)

    def take(self, tokens: int, now_ns: int) -> int:
        """Admits a call; returns the mark that `correct` wants."""
        self.running += 1
        if self.requests is not None:
            self.requests.take(1, now_ns)
        return 0 if self.tokens is None else self.tokens.take(tokens, now_ns)

    def idle(self, now_ns: int) -> bool:
        """True where forgetting it would change nothing."""
        buckets = (self.requests, self.tokens)
        return not self.running and self.spending is None and not any(
            bucket is not None and bucket.full_ns(now_ns) for bucket in buckets)


def _resized(bucket: Bucket | None, size: int, now_ns: int) -> Bucket | None:
    if not size:
        return None
    if bucket is None:
        return Bucket(size, now_ns)
    bucket.resize(size, now_ns)
    return bucket


def tightest(obstacles: Iterable[Obstacle]) -> Obstacle | None:
    """The one that lasts longest: until it is gone the others do not matter."""
    return max(obstacles, default=None, key=lambda o: (
        o.name == "monthly_budget", o.wait_ns is None, o.wait_ns or 0))


def refusal(obstacle: Obstacle, now_ms: int) -> RelayError:
    """What a client is told: rate_limited, concurrency_limited or budget_spent."""
    who = _WHO[obstacle.scope]
    if obstacle.wait_ns is None:
        daily = obstacle.name == "daily_budget"
        again = next_day(now_ms) if daily else next_month(now_ms)
        period = "day" if daily else "month"
        return RelayError("budget_spent", detail=(
            f"{who} may spend {decimal(obstacle.limit, 2)} per {period}; "
            f"the next {period} begins at {rfc3339(again)}."))
    wait_ms = -(-obstacle.wait_ns // _MS)
    if obstacle.name == "concurrent":
        return RelayError("concurrency_limited", retry_after_ms=wait_ms, detail=(
            f"{who} may have {obstacle.limit} at a time."))
    unit = "request" if obstacle.name == "requests_per_minute" else "token"
    unit += "s" if obstacle.limit != 1 else ""
    return RelayError("rate_limited", retry_after_ms=wait_ms, detail=(
        f"{who} may use {obstacle.limit} {unit} per minute; "
        f"try again in {-(-wait_ms // 1000)} s."))
