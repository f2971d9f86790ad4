"""Admission: whether the limits have room for one more call, and what it holds until it ends.

Law: all limits that apply are checked before any is taken, in one go; what a call holds is given
back once, when it settles, however it ends. Without limits a call pays for two looks. Nothing is
awaited: what the store says of budgets is brought here by a job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final, get_args

from relayd.core.budget import Spent, SpentReading, SpentRow
from relayd.core.errors import RelayError
from relayd.core.limit import (
    EMPTY_BOOK, NO_LIMITS, Allowance, LimitBook, Limits, Scope, refusal, tightest,
)
from relayd.core.record import CallRecord
from relayd.core.snapshot import KeyGrant
from relayd.relay.counting import UNCOUNTED
from relayd.relay.exchange import Exchange
from relayd.wire.dialect import Endpoint
from relayd.wire.estimate import UPLOAD_TOKENS, estimated_tokens
from relayd.wire.limit_fields import Standing, limit_lines

ALLOWANCES_MAX: Final = 200_000
"""Allowances in memory, about 100 MB; at the limit the idle ones are forgotten."""
NEAR_READ_NS: Final = 1_000_000_000
UNPOSTED_READ_NS: Final = 5_000_000_000
READ_NS: Final = 60_000_000_000
"""How old what the store says of a budget may become: with calls of this process since, where
three quarters are spent and before that; without.

Other processes spend too: an older relay that drains while this one has taken its place."""
_OF_CALLS: Final = frozenset({"requests_per_minute", "concurrent"})
"""Limits that a session is held to once, when it begins."""

_SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
Identity = tuple[Scope, str, str]
"""(scope, account, name) of an allowance."""
Rated = Callable[[CallRecord], CallRecord]


class Ticket:
    """What one call holds of its allowances, and the figures that its client is told."""

    __slots__ = ("_admission", "_allowances", "_tokens", "_marks", "_taken_ns", "_holds", "_owes")

    def __init__(self, admission: Admission, allowances: tuple[Allowance, ...],
                 tokens: int) -> None:
        self._admission = admission
        self._allowances = allowances
        self._tokens = tokens
        self._marks: list[int] = []
        self._taken_ns = 0
        self._holds = False
        self._owes = False

    def take(self, now_ns: int) -> None:
        """The call is admitted."""
        self._taken_ns = now_ns
        tokens, marks = self._tokens, self._marks
        for allowance in self._allowances:
            marks.append(allowance.take(tokens, now_ns))
        self._holds = self._owes = True

    def spend(self, tokens: int) -> None:
        """A session has used so many tokens by now: taken at once, so that others see it."""
        more = tokens - self._tokens
        if more > 0 and self._owes:
            self._tokens = tokens
            now_ns = self._admission.now_ns()
            for allowance in self._allowances:
                if allowance.tokens is not None:
                    allowance.tokens.take(more, now_ns)

    def go_on(self) -> None:
        """Raises rate_limited or budget_spent where a session may not ask for more now."""
        now_ns, now_ms = self._admission.now_ns(), self._admission.unix_ms()
        obstacle = tightest(
            found for allowance in self._allowances
            for found in allowance.obstacles(1, now_ns, now_ms) if found.name not in _OF_CALLS)
        if obstacle is not None:
            self._admission.refused[obstacle.scope, obstacle.name] += 1
            raise refusal(obstacle, now_ms)

    def release(self) -> None:
        """The call is over: its place is free. Harmless when repeated."""
        if self._holds:
            self._holds = False
            for allowance in self._allowances:
                allowance.running -= 1

    def correct(self, record: CallRecord) -> CallRecord:
        """The call's record is known: its tokens take the place of the estimate. Once.

        Returns it with its amount where a budget counts it: what is stored is what was spent.
        """
        if not self._owes:
            return record
        self._owes = False
        now_ns = self._admission.now_ns()
        over = self._tokens - _true_tokens(record, self._tokens)
        rated = False
        for allowance, mark in zip(self._allowances, self._marks, strict=True):
            if over and allowance.tokens is not None:
                allowance.tokens.correct(over, mark, self._taken_ns, now_ns)
            if allowance.spending is not None:
                if not rated:
                    rated, record = True, self._admission.rated(record)
                allowance.spending.add(record.id, record.started_at_ms, record.amount_nano)
        return record

    def lines(self, exchange: Exchange) -> bytes:
        """Header field lines with the tightest requests and tokens per minute, as of now."""
        api = exchange.target.api
        if api == "gemini":
            return b""
        admission = self._admission
        now_ns = admission.now_ns()
        requests: Standing | None = None
        tokens: Standing | None = None
        for allowance in self._allowances:
            if allowance.requests is not None:
                requests = _least(requests, allowance.requests.standing(now_ns))
            if allowance.tokens is not None:
                tokens = _least(tokens, allowance.tokens.standing(now_ns))
        # Anthropic's fields say when, OpenAI's how long
        now_ms = admission.unix_ms() if api == "anthropic" else 0
        return limit_lines(api, requests, tokens, now_ms)


def _true_tokens(record: CallRecord, estimate: int) -> int:
    """What a call used; where nobody knows, what it was taken for."""
    unknown = record.usage_source == "none" and record.outcome not in ("refused", "provider_error")
    return estimate if unknown else record.input_tokens + record.output_tokens


def _least(least: Standing | None, standing: Standing) -> Standing:
    """The one that has less left; of two the smaller one."""
    if least is None or (least[1], least[0]) > (standing[1], standing[0]):
        return standing
    return least


class _Stand:
    """Where a key stands: the allowances that apply to all its calls, under one policy."""

    __slots__ = ("grant", "book", "allowances")

    def __init__(self, grant: KeyGrant, book: LimitBook, allowances: tuple[Allowance, ...]):
        self.grant = grant
        self.book = book
        self.allowances = allowances


class Admission:
    """Admits calls. `rated` gives a record its amount, where it has none yet."""

    def __init__(self, now_ns: Callable[[], int], unix_ms: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.unix_ms = unix_ms
        self.refused: Counter[tuple[str, str]] = Counter(
            {(scope, name): 0 for scope in _SCOPES for name in Limits._fields})
        """Calls by the limit that was in the way: whose, and which."""
        self.rated: Rated = lambda record: record
        self._allowances: dict[Identity, Allowance] = {}
        self._budgets: dict[Identity, Allowance] = {}
        self._stands: dict[str, _Stand] = {}
        self._book = EMPTY_BOOK
        self._first: SpentReading | None = None
        self._most = ALLOWANCES_MAX

    def admit(self, exchange: Exchange, raw: bytes | None) -> None:
        """Takes what the call needs, or raises rate_limited, concurrency_limited, budget_spent.

        `raw` is the body of JSON that its tokens are estimated by; None: an upload.
        """
        grant, book = exchange.grant, exchange.policy.limits
        assert grant is not None
        if book is None and grant.limits is None:
            return
        now_ns = self.now_ns()
        allowances = self._that_apply(grant, book or EMPTY_BOOK, exchange.model or "", now_ns)
        if not allowances:
            return
        tokens = _estimate(exchange.target.endpoint, allowances, raw)
        ticket = exchange.ticket = Ticket(self, allowances, tokens)
        now_ms = self.unix_ms()
        for allowance in allowances:
            if not allowance.admits(tokens, now_ns, now_ms):
                raise self._refusal(allowances, tokens, now_ns, now_ms)
        ticket.take(now_ns)

    def _refusal(
        self, allowances: tuple[Allowance, ...], tokens: int, now_ns: int, now_ms: int
    ) -> RelayError:
        """What a call is told that one of them does not admit."""
        obstacle = tightest(found for allowance in allowances
                            for found in allowance.obstacles(tokens, now_ns, now_ms))
        assert obstacle is not None
        self.refused[obstacle.scope, obstacle.name] += 1
        return refusal(obstacle, now_ms)

    def _that_apply(
        self, grant: KeyGrant, book: LimitBook, model: str, now_ns: int
    ) -> tuple[Allowance, ...]:
        stand = self._stands.get(grant.key)
        if stand is None or stand.grant is not grant or stand.book is not book:
            stand = self._stand(grant, book, now_ns)
        line = book.find(model)
        if line is None:
            return stand.allowances
        found = self._allowance(("model", grant.account, line[0]), line[1], now_ns)
        return stand.allowances if found is None else (*stand.allowances, found)

    def _stand(self, grant: KeyGrant, book: LimitBook, now_ns: int) -> _Stand:
        """Works out where a key stands; once for each change of policy."""
        if len(self._allowances) >= self._most or len(self._stands) >= self._most:
            self._forget(now_ns)
        self._book = book
        own = grant.limits
        account = book.defaults if own is None else own.of_account(book.defaults)
        key = NO_LIMITS if own is None else NO_LIMITS._replace(**own.key)
        found = (self._allowance(("account", grant.account, grant.account), account, now_ns),
                 self._allowance(("key", grant.account, grant.key), key, now_ns))
        stand = self._stands[grant.key] = _Stand(
            grant, book, tuple(each for each in found if each is not None))
        return stand

    def _allowance(self, identity: Identity, limits: Limits, now_ns: int) -> Allowance | None:
        """The one allowance of this identity, with these limits; None without any."""
        allowance = self._allowances.get(identity)
        if allowance is None:
            if not any(limits):
                return None
            allowance = self._allowances[identity] = Allowance(*identity, limits, now_ns)
        elif allowance.limits != limits:
            # a call that came before a change may get here behind it: who shares the allowance
            # looks again at what holds
            self._stands.clear()
            allowance.change(limits, now_ns)
        if allowance.spending is None:
            self._budgets.pop(identity, None)
        elif identity not in self._budgets:
            self._budgets[identity] = allowance
            if self._first is not None:
                self._install(allowance, self._first, 0)
        return allowance if any(limits) else None

    def _forget(self, now_ns: int) -> None:
        """Lets go of allowances that nobody would miss; where all are missed there may be more,
        or each next one would look at all of them."""
        self._stands.clear()
        self._allowances = {name: allowance for name, allowance in self._allowances.items()
                            if not allowance.idle(now_ns)}
        self._most = max(ALLOWANCES_MAX, 2 * len(self._allowances))

    @property
    def running(self) -> int:
        """Places that are taken, of all allowances."""
        return sum(allowance.running for allowance in self._allowances.values())

    # -- what the store says of budgets ---------------------------------------------------

    def due(
        self, most: int, budgeted: Iterable[KeyGrant], book: LimitBook | None,
    ) -> list[str]:
        """Accounts whose spending should be read now, at most so many, those never read first.

        `budgeted`, grants that came with budgets of their own, are among them before they call.
        """
        now_ns, now_ms = self.now_ns(), self.unix_ms()
        for grant in budgeted:
            self._stand(grant, book or EMPTY_BOOK, now_ns)
        waiting: dict[str, int] = {}
        for allowance in self._budgets.values():
            spending = allowance.spending
            assert spending is not None
            read_ns = spending.read_ns or 0
            age = READ_NS
            if spending.unposted:
                age = NEAR_READ_NS if allowance.near(now_ms) else UNPOSTED_READ_NS
            if not read_ns or now_ns - read_ns >= age:
                waiting[allowance.account] = min(read_ns, waiting.get(allowance.account, read_ns))
        return sorted(waiting, key=waiting.__getitem__)[:most]

    def unposted(self, accounts: Collection[str]) -> list[tuple[int, str]]:
        """Calls of these accounts, as (start, id), that the store's sums may not hold yet."""
        found: dict[str, tuple[int, int]] = {}
        for allowance in self._budgets.values():
            if allowance.account in accounts and allowance.spending is not None:
                found.update(allowance.spending.unposted)
        return [(started_at_ms, call_id) for call_id, (started_at_ms, _) in found.items()]

    def install(self, accounts: Collection[str] | None, reading: SpentReading) -> None:
        """Takes what the store says of these accounts; None: of all, before any call."""
        if accounts is None:
            self._first = reading
            return
        now_ns = self.now_ns()
        for allowance in self._budgets.values():
            if allowance.account in accounts:
                self._install(allowance, reading, now_ns)

    def _install(self, allowance: Allowance, reading: SpentReading, now_ns: int) -> None:
        spending = allowance.spending
        assert spending is not None
        rows = [row.spent for row in reading.rows.get(allowance.account, ())
                if self._counts(allowance, row)]
        spending.install(
            Spent(sum(s.day for s in rows), sum(s.month for s in rows)), reading.known,
            reading.now_ms, now_ns)

    def _counts(self, allowance: Allowance, row: SpentRow) -> bool:
        if allowance.scope == "account":
            return True
        if allowance.scope == "key":
            return row.key == allowance.name
        line = self._book.find(row.model)
        return line is not None and line[0] == allowance.name


def _estimate(
    endpoint: Endpoint | None, allowances: tuple[Allowance, ...], raw: bytes | None
) -> int:
    """What a call's tokens are taken for where some allowance counts them."""
    if endpoint is None or endpoint.operation in UNCOUNTED:
        return 0
    for allowance in allowances:
        if allowance.tokens is not None:
            return UPLOAD_TOKENS if raw is None else estimated_tokens(endpoint.api, raw)
    return 0
