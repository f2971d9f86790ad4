"""Admission: all limits or none are taken, and what a call holds is given back once."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.budget import Spent, SpentReading, SpentRow
from relayd.core.errors import RelayError
from relayd.core.limit import Bucket, LimitBook, Limits, OwnLimits
from relayd.core.record import CallRecord
from relayd.core.snapshot import KeyGrant
from relayd.core.timestamp import DAY_MS
from relayd.relay.admit import NEAR_READ_NS, READ_NS, UNPOSTED_READ_NS, Admission, _least
from relayd.relay.exchange import Exchange
from relayd.wire.dialect import target_of
from relayd.wire.estimate import UPLOAD_TOKENS
from tests.fakes.records import START_MS, call_record
from tests.relay.test_exchange import exchange

SECOND = 1_000_000_000
BODY = b"x" * 399
"""Estimated as 100 tokens."""


class Gate:
    """An admission with a clock of its own; calls are told as (own limits, model, key)."""

    def __init__(self, book: LimitBook | None = None) -> None:
        self.ns = SECOND
        self.ms = START_MS
        self.book = book
        self.admission = Admission(lambda: self.ns, lambda: self.ms)
        self.grants: dict[Any, KeyGrant] = {}

    def grant(self, own: OwnLimits | None = None, key: str = "key_1") -> KeyGrant:
        return self.grants.setdefault(
            (key, str(own)), KeyGrant(key, "acct_1", None, None, None, False, own))

    def call(self, own: OwnLimits | None = None, model: str = "m", key: str = "key_1",
             raw: bytes | None = BODY, path: str = "/v1/chat/completions") -> Exchange:
        made = exchange()
        made.target = target_of(path, "openai")
        made.policy = SimpleNamespace(limits=self.book)  # type: ignore[assignment]
        made.grant = self.grant(own, key)
        made.model = model
        self.admission.admit(made, raw)
        return made

    def refused(self, *wishes: Any, **more: Any) -> str:
        before = self.admission.running
        with pytest.raises(RelayError) as caught:
            self.call(*wishes, **more)
        assert self.admission.running == before
        return f"{caught.value.code}: {caught.value.detail.partition(';')[0]}"


def book(models: dict[str, Limits] | None = None, **defaults: int) -> LimitBook | None:
    return LimitBook.of(Limits(**defaults), models or {})


def account(**limits: int) -> OwnLimits:
    return OwnLimits(limits, {})


def settle(made: Exchange, record: CallRecord) -> None:
    assert made.ticket is not None
    made.ticket.release()
    made.ticket.correct(record)


def test_without_limits_nothing_is_kept() -> None:
    gate = Gate()
    assert gate.call().ticket is None
    assert Gate(book({"other": Limits(concurrent=1)})).call().ticket is None
    assert Gate(book(concurrent=1)).call(account(concurrent=0)).ticket is None


@pytest.mark.parametrize(("own", "words"), [
    (None, "rate_limited: This account may use 2 requests per minute"),
    (OwnLimits({"requests_per_minute": 0}, {"concurrent": 2}),
     "concurrency_limited: This API key may have 2 at a time."),
    (account(requests_per_minute=0, tokens_per_minute=250),
     "rate_limited: This account may use 250 tokens per minute"),
])
def test_own_limits_take_the_place_of_defaults_one_by_one(
    own: OwnLimits | None, words: str
) -> None:
    gate = Gate(book(requests_per_minute=2))
    gate.call(own)
    gate.call(own)
    assert gate.refused(own) == words


def test_keys_of_one_account_share_its_limits_and_have_their_own() -> None:
    gate = Gate(book(concurrent=3))
    own = OwnLimits({}, {"concurrent": 2})
    gate.call(own, key="key_1")
    gate.call(own, key="key_1")
    assert gate.refused(own, key="key_1").startswith("concurrency_limited: This API key")
    last = gate.call(own, key="key_2")
    assert gate.refused(own, key="key_2").startswith("concurrency_limited: This account")
    refused = {where: count for where, count in gate.admission.refused.items() if count}
    assert refused == {("key", "concurrent"): 1, ("account", "concurrent"): 1}
    settle(last, call_record())
    gate.call(own, key="key_2")


def test_models_of_a_line_share_its_limits() -> None:
    gate = Gate(book({"a-*": Limits(concurrent=2), "a-9": Limits(concurrent=1)}))
    gate.call(model="a-1")
    gate.call(model="a-2")
    gate.call(model="a-9")
    gate.call(model="b")
    who = "concurrency_limited: This account, with this model, may have"
    assert gate.refused(model="a-3") == f"{who} 2 at a time."
    assert gate.refused(model="a-9") == f"{who} 1 at a time."


def test_where_one_limit_refuses_the_others_are_untouched() -> None:
    gate = Gate(book({"m": Limits(concurrent=1)}, requests_per_minute=2, tokens_per_minute=900))
    gate.call()
    for _ in range(9):
        gate.refused()
    gate.call(model="other")
    assert gate.refused(model="other").startswith("rate_limited: This account may use 2 requests")


def test_tokens_are_corrected_to_the_truth() -> None:
    gate = Gate(book(tokens_per_minute=1_000))
    made = gate.call()
    assert b"x-ratelimit-remaining-tokens: 900\r\n" in lines(made)
    settle(made, call_record(input_tokens=40, output_tokens=10))
    assert b"x-ratelimit-remaining-tokens: 950\r\n" in lines(made)
    settle(made, call_record(input_tokens=40, output_tokens=10))
    assert b"x-ratelimit-remaining-tokens: 950\r\n" in lines(made)
    settle(gate.call(), call_record(input_tokens=100, output_tokens=2_000))
    assert gate.refused().startswith("rate_limited")
    gate.ns += 75 * SECOND
    gate.call()


def refused_to_go_on(made: Exchange) -> str:
    assert made.ticket is not None
    with pytest.raises(RelayError) as caught:
        made.ticket.go_on()
    return f"{caught.value.code}: {caught.value.detail.partition(';')[0]}"


def test_a_session_is_held_to_tokens_and_budgets_as_it_goes_and_to_calls_once() -> None:
    gate = Gate()
    own = OwnLimits({"daily_budget": 100, "concurrent": 2, "requests_per_minute": 1},
                    {"tokens_per_minute": 1_000})
    made = gate.call(own, path="/v1/realtime")
    assert made.ticket is not None
    made.ticket.go_on()
    made.ticket.spend(400)
    made.ticket.spend(300)  # an older figure takes nothing, and gives nothing back
    assert b"x-ratelimit-remaining-tokens: 600\r\n" in lines(made)
    made.ticket.spend(1_000)
    made.ticket.spend(1_000)
    assert refused_to_go_on(made) == "rate_limited: This API key may use 1000 tokens per minute"
    assert gate.admission.refused["key", "tokens_per_minute"] == 1
    gate.ns += SECOND
    made.ticket.go_on()
    for allowance in made.ticket._allowances:
        if allowance.spending is not None:
            allowance.spending.add("other", START_MS, 100)
    assert refused_to_go_on(made).startswith("budget_spent")
    assert gate.admission.refused["account", "daily_budget"] == 1
    assert sum(gate.admission.refused.values()) == 2
    settle(made, call_record(input_tokens=900, output_tokens=100))
    made.ticket.spend(5_000)  # its record is known
    assert b"x-ratelimit-remaining-tokens: 16\r\n" in lines(made)


@pytest.mark.parametrize(("changes", "left"), [
    ({"usage_source": "none", "input_tokens": 0, "output_tokens": 0, "outcome": "refused"}, 1_000),
    ({"usage_source": "none", "input_tokens": 0, "output_tokens": 0,
      "outcome": "provider_error"}, 1_000),
    ({"usage_source": "none", "input_tokens": 0, "output_tokens": 0,
      "outcome": "client_left"}, 900),
    ({"usage_source": "estimated", "input_tokens": 8, "output_tokens": 0,
      "outcome": "client_left"}, 992),
])
def test_what_nobody_counted_stays_estimated(changes: dict[str, Any], left: int) -> None:
    gate = Gate(book(tokens_per_minute=1_000))
    made = gate.call()
    settle(made, call_record(**changes))
    assert b"x-ratelimit-remaining-tokens: %d\r\n" % left in lines(made)


def lines(made: Exchange) -> bytes:
    assert made.ticket is not None
    return made.ticket.lines(made)


def test_a_client_is_told_the_tightest_figures() -> None:
    gate = Gate(book(requests_per_minute=60, tokens_per_minute=900))
    own = OwnLimits({}, {"requests_per_minute": 4})
    made = gate.call(own)
    assert lines(made) == (
        b"x-ratelimit-limit-requests: 4\r\nx-ratelimit-remaining-requests: 3\r\n"
        b"x-ratelimit-reset-requests: 15s\r\nx-ratelimit-limit-tokens: 900\r\n"
        b"x-ratelimit-remaining-tokens: 800\r\nx-ratelimit-reset-tokens: 6.667s\r\n")
    assert lines(Gate(book(concurrent=1)).call()) == b""


@given(st.lists(st.none() | st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=4),
       st.integers(0, 90 * SECOND))
def test_the_tightest_of_many(sizes: list[tuple[int, int] | None], now_ns: int) -> None:
    """Looked at one by one it is the least of all by what is left, then by its size."""
    found, standings = None, []
    for each in sizes:
        if each is not None:
            bucket = Bucket(each[0], 0)
            bucket.take(each[1], 0)
            standings.append((
                bucket.size, bucket.remaining(now_ns), -(-bucket.full_ns(now_ns) // 1_000_000)))
            found = _least(found, bucket.standing(now_ns))
    assert found == min(standings, key=lambda s: (s[1], s[0]), default=None)


def test_a_refused_call_is_told_them_too_and_holds_nothing() -> None:
    gate = Gate(book(requests_per_minute=1))
    gate.call()
    made = exchange()
    made.policy = SimpleNamespace(limits=gate.book)  # type: ignore[assignment]
    made.grant = gate.grant()
    with pytest.raises(RelayError):
        gate.admission.admit(made, BODY)
    assert b"x-ratelimit-remaining-requests: 0\r\n" in lines(made)
    settle(made, call_record(input_tokens=9))
    assert gate.admission.running == 1


def test_changed_limits_keep_what_is_in_use() -> None:
    gate = Gate(book(concurrent=5, requests_per_minute=5))
    for _ in range(3):
        gate.call()
    gate.book = book(concurrent=3, requests_per_minute=4)
    assert gate.refused().startswith("concurrency_limited")
    gate.book = book(requests_per_minute=4)
    gate.call()
    assert gate.refused().startswith("rate_limited")


@pytest.mark.parametrize("own", [True, False])
def test_a_call_from_before_a_change_does_not_undo_it_for_other_keys(own: bool) -> None:
    """Its body was long under way; what it is judged by is what held as it came."""
    old, new = (account(concurrent=9), account(concurrent=2)) if own else (None, None)
    before = None if own else book(concurrent=9)
    after = None if own else book(concurrent=2)
    gate = Gate(after)
    gate.call(new)
    gate.book = before
    gate.call(old, key="key_2")
    gate.book = after
    assert gate.refused(new).startswith("concurrency_limited: This account may have 2")


def test_idle_allowances_are_forgotten_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relayd.relay.admit.ALLOWANCES_MAX", 4)
    gate = Gate()
    held = gate.call(OwnLimits({}, {"concurrent": 1}), key="held")
    for number in range(50):
        settle(gate.call(OwnLimits({}, {"concurrent": 1}), key=f"key_{number}"), call_record())
    assert len(gate.admission._allowances) <= 5
    assert gate.refused(OwnLimits({}, {"concurrent": 1}), key="held")
    settle(held, call_record())
    assert gate.admission.running == 0


def test_allowances_that_are_missed_are_not_looked_at_for_each_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relayd.relay.admit.ALLOWANCES_MAX", 4)
    gate = Gate()
    looks: list[int] = []
    forget = gate.admission._forget
    monkeypatch.setattr(
        gate.admission, "_forget", lambda now_ns: (looks.append(now_ns), forget(now_ns)))
    own = OwnLimits({}, {"daily_budget": 1_000})
    gate.admission.due(9, [gate.grant(own, f"key_{number}") for number in range(200)], gate.book)
    assert len(gate.admission._allowances) == 200 and len(looks) < 9


def test_a_hundred_thousand_random_endings_leave_no_permit_taken() -> None:
    dice = random.Random(4)
    gate = Gate(book({"m-1": Limits(concurrent=3, tokens_per_minute=9_000)}, concurrent=20,
                     requests_per_minute=60_000, tokens_per_minute=9_000_000))
    own = OwnLimits({}, {"concurrent": 15})
    inflight: list[Exchange] = []
    admitted = 0
    ended = call_record(input_tokens=90, output_tokens=30)
    while admitted < 100_000:
        gate.ns += dice.randrange(2_000_000)
        try:
            inflight.append(gate.call(own, f"m-{dice.randrange(3)}", f"key_{dice.randrange(2)}"))
            admitted += 1
        except RelayError:
            pass
        assert len(inflight) <= 20
        while inflight and dice.random() < 0.55:
            last = inflight.pop(dice.randrange(len(inflight)))
            assert last.ticket is not None
            # a client that left: the place is free at once, its count may come late or never
            last.ticket.release()
            if dice.random() < 0.9:
                last.ticket.release()
                last.ticket.correct(ended)
    for left in inflight:
        settle(left, ended)
    assert gate.admission.running == 0


# -- budgets ---------------------------------------------------------------------------------


def spent(call: str, nano: int) -> CallRecord:
    return msgspec.structs.replace(call_record(amount_nano=nano), id=call, started_at_ms=START_MS)


def test_a_spent_budget_refuses_until_the_day_is_over() -> None:
    gate = Gate()
    own = account(daily_budget=100)
    settle(gate.call(own), spent("a", 60))
    running = gate.call(own)
    settle(gate.call(own), spent("b", 40))
    assert gate.refused(own) == "budget_spent: This account may spend 0.0000001 per day"
    settle(running, spent("c", 5))
    gate.ms += DAY_MS
    gate.call(own)


def test_what_the_book_of_prices_says_counts_where_a_record_is_not_rated() -> None:
    gate = Gate()
    gate.admission.rated = lambda record: msgspec.structs.replace(
        record, amount_nano=record.output_tokens * 10)
    own = account(monthly_budget=200)
    settle(gate.call(own), call_record(output_tokens=20))
    assert gate.refused(own).startswith("budget_spent")


def reading(rows: dict[str, list[SpentRow]], *known: str) -> SpentReading:
    return SpentReading(START_MS, rows, known)


ROWS = {"acct_1": [SpentRow("key_1", "a-1", Spent(10, 100)),
                   SpentRow("key_2", "b", Spent(1, 1_000))]}


@pytest.mark.parametrize(("own", "line", "refused"), [
    (account(daily_budget=11), {}, True), (account(daily_budget=12), {}, False),
    (account(daily_cap=11), {}, True), (account(daily_cap=12, daily_budget=20), {}, False),
    (account(daily_cap=20, daily_budget=11), {}, True),
    (account(monthly_budget=1_100), {}, True), (account(monthly_budget=1_101), {}, False),
    (OwnLimits({}, {"daily_budget": 10}), {}, True),
    (OwnLimits({}, {"daily_budget": 11}), {}, False),
    (None, {"a-*": Limits(daily_budget=10)}, True),
    (None, {"a-*": Limits(daily_budget=11)}, False),
    (None, {"a-*": Limits(daily_budget=10), "a-1": Limits(concurrent=9)}, False),
])
def test_what_was_spent_before_the_start_counts(
    own: OwnLimits | None, line: dict[str, Limits], refused: bool
) -> None:
    gate = Gate(book(line))
    gate.admission.install(None, reading(ROWS))
    if refused:
        assert gate.refused(own, "a-2").startswith("budget_spent")
    else:
        gate.call(own, "a-2")


def test_the_store_is_asked_about_budgets_that_are_new_or_in_use_or_old() -> None:
    gate = Gate()
    own = account(daily_budget=1_000)

    def due(*new: KeyGrant) -> list[str]:
        return gate.admission.due(9, new, gate.book)

    assert due(gate.grant(own)) == ["acct_1"]  # before its first call
    gate.admission.install({"acct_1"}, reading(ROWS))
    assert due() == []
    settle(gate.call(own), spent("a", 5))
    gate.ns += UNPOSTED_READ_NS
    assert due() == ["acct_1"]
    assert gate.admission.unposted(due()) == [(START_MS, "a")]
    gate.admission.install({"acct_1"}, reading(ROWS, "a"))
    assert gate.admission.unposted({"acct_1"}) == []
    gate.ns += READ_NS - 1
    assert due() == []
    gate.ns += 1
    assert due() == ["acct_1"]
    assert gate.admission.due(0, (), gate.book) == []


def test_the_store_is_asked_often_where_a_budget_is_nearly_spent() -> None:
    """Another process may spend the rest of it meanwhile."""
    gate = Gate()
    own = account(daily_budget=100)
    gate.call(own)
    gate.admission.install({"acct_1"}, reading({}))
    for nano, near in ((74, False), (1, True)):
        settle(gate.call(own), spent(str(nano), nano))
        gate.ns += NEAR_READ_NS - 1
        assert gate.admission.due(9, (), None) == []
        gate.ns += 1
        assert gate.admission.due(9, (), None) == (["acct_1"] if near else [])
        gate.admission.install({"acct_1"}, reading({}))


def test_a_budget_that_is_taken_away_is_read_no_more() -> None:
    gate = Gate()
    gate.call(account(daily_budget=1))
    gate.call(account(concurrent=5))
    assert gate.admission.due(9, (), None) == []


def test_uploads_and_counts_have_estimates_of_their_own() -> None:
    gate = Gate(book(tokens_per_minute=10_000, requests_per_minute=9))
    assert b"remaining-tokens: %d" % (10_000 - UPLOAD_TOKENS) in lines(gate.call(raw=None))
    made = gate.call(path="/v1/messages/count_tokens")
    assert b"tokens-remaining: %d" % (10_000 - UPLOAD_TOKENS) in lines(made)
    assert b"requests-remaining: 7" in lines(made)
