"""The table of failures, waits and the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import ERRORS
from relayd.core.health import (
    COOL_SECONDS, COOL_SECONDS_MAX, REST_SECONDS, SHARE_FAILURES_MIN, SHARE_MAX, TRIP_FAILURES,
)
from relayd.core.retry import (
    ASKED_SECONDS_MAX, BUDGET_MIN, BUDGET_SECONDS, RETRY_SHARE, RULES, WAIT_SECONDS,
    WAIT_SECONDS_MAX, Budget, kind_of, wait,
)
from tests.shared import ROOT


@pytest.mark.parametrize(("code", "status", "words", "kind"), [
    ("upstream_connect", 0, "", "connect"), ("upstream_tls", 0, "", "tls"),
    ("upstream_busy", 0, "", "busy"), ("upstream_reset", 0, "", "reset"),
    ("upstream_endless", 0, "", "protocol"), ("upstream_proxy", 0, "", "connect"),
    ("provider_rejected", 401, "", "auth"), ("provider_rejected", 402, "", "quota"),
    ("provider_rejected", 403, "content_filter", "content_policy"),
    ("upstream_truncated", 0, "", "reset"), ("upstream_stalled", 0, "", "reset"),
    ("upstream_timeout", 0, "", "timeout"), ("upstream_protocol", 503, "", "protocol"),
    ("provider_rejected", 307, "", "protocol"),
    ("provider_rejected", 400, "", "rejected"), ("provider_rejected", 422, "", "rejected"),
    ("provider_rejected", 404, "", "not_found"), ("provider_rejected", 409, "", "conflict"),
    ("provider_rejected", 418, "", "rejected"),
    ("provider_rejected", 400, "context_length_exceeded", "context_length"),
    ("provider_rejected", 413, "request_too_large", "context_length"),
    ("provider_rejected", 422, "prompt_too_long", "context_length"),
    ("provider_rejected", 400, "content_filter", "content_policy"),
    ("provider_failed", 500, "context_length_exceeded", "failed"),
    ("provider_forbidden", 500, "", "failed"), ("provider_rejected", 499, "", "rejected"),
    ("provider_auth", 401, "", "auth"), ("provider_auth", 400, "", "auth"),
    ("provider_forbidden", 403, "", "forbidden"),
    ("provider_quota", 402, "", "quota"), ("provider_quota", 429, "", "quota"),
    ("provider_rate_limited", 429, "", "rate_limited"),
    ("provider_failed", 408, "", "request_timeout"),
    ("provider_failed", 498, "", "overloaded"), ("provider_failed", 500, "", "failed"),
    ("provider_failed", 501, "", "failed"), ("provider_failed", 502, "", "failed"),
    ("provider_failed", 503, "", "overloaded"), ("provider_failed", 504, "", "failed"),
    ("provider_failed", 529, "", "overloaded"),
])
def test_kinds(code: str, status: int, words: str, kind: str) -> None:
    assert kind_of(code, status, frozenset(words.split())) == kind


@pytest.mark.parametrize(("words", "kind"), [
    ("context_length_exceeded string_above_max_length request_too_large prompt_too_long"
     " model_context_window_exceeded", "context_length"),
    ("content_filter content_policy_violation ResponsibleAIPolicyViolation 1301"
     " data_inspection_failed DataInspectionFailed sensitive_words_detected moderation_blocked"
     " contentFilter", "content_policy"),
    ("invalid_request_error context_length 130 content", "rejected"),
])
def test_words_of_providers(words: str, kind: str) -> None:
    for word in words.split():
        assert kind_of("provider_rejected", 400, frozenset({word, "other"})) == kind, word


def test_every_error_of_a_provider_s_side_is_in_the_table() -> None:
    codes = [code for code, kind in ERRORS.items() if kind.side == "upstream"]
    assert len(codes) > 10
    for code in codes:
        assert kind_of(code, ERRORS[code].status) in RULES


def test_what_the_table_promises() -> None:
    unsent = {kind for kind, rule in RULES.items() if not rule.sent}
    assert unsent == {"connect", "tls", "busy"}
    # the same deployment is asked again only where it said itself that it did not serve the call
    assert {kind for kind, rule in RULES.items() if rule.again} == {
        "request_timeout", "conflict", "rate_limited", "overloaded"}
    # what the request is at fault for makes no other deployment of the model work
    assert {kind for kind, rule in RULES.items() if not rule.onward} == {
        "context_length", "content_policy", "rejected"}
    # no client can make a deployment look ill with requests that are wrong
    for kind in ("conflict", "not_found", "context_length", "content_policy", "rejected"):
        assert RULES[kind].scope == "nobody"
    assert {kind for kind, rule in RULES.items() if rule.hard} == {"connect", "tls", "timeout"}


@given(st.integers(0, 1000), st.floats(0, 1, exclude_max=True), st.floats(0, 1000),
       st.none() | st.floats(0, 1000))
def test_waits(turn: int, dice: float, patience: float, asked: float | None) -> None:
    seconds = wait(turn, dice, asked, patience)
    if asked is not None and asked > ASKED_SECONDS_MAX:
        assert seconds is None
    elif seconds is None:
        assert patience <= max(WAIT_SECONDS_MAX, (asked or 0) + WAIT_SECONDS)
    else:
        assert 0 <= seconds < patience
        assert seconds <= (WAIT_SECONDS_MAX if asked is None else asked + WAIT_SECONDS)
        assert asked is None or seconds >= asked


def test_the_first_wait_is_short() -> None:
    assert wait(0, 0.999, None, 1.0) == pytest.approx(WAIT_SECONDS * 0.999)
    assert wait(1, 0.5, None, 1.0) == WAIT_SECONDS
    assert wait(0, 0.0, 2.0, 1.0) is None


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20)), max_size=200),
       st.sampled_from((0.0, 0.1, RETRY_SHARE, 1.0)))
def test_no_more_than_a_share_of_the_calls(steps: list[tuple[float, int]], share: float) -> None:
    """Whatever is asked for: retries of any two windows stay below the share, or the least."""
    budget, now = Budget(share), 50.0
    made: list[tuple[float, int, int]] = []
    for seconds, wishes in steps:
        now += seconds
        budget.call(now)
        made.append((now, 1, sum(budget.spend(now) for _ in range(wishes))))
    for start, _, _ in made:
        inside = [m for m in made if start <= m[0] < start + BUDGET_SECONDS]
        before = [m for m in made if start - 2 * BUDGET_SECONDS < m[0] < start + BUDGET_SECONDS]
        retries, calls = sum(m[2] for m in inside), sum(m[1] for m in before)
        least = BUDGET_MIN if share else 0
        # a span of one window meets at most two windows of the budget
        assert retries <= 2 * max(share * calls, least)
    assert sum(m[2] for m in made) <= share * len(made) + least * (len(made) and (
        2 + (made[-1][0] - made[0][0]) / BUDGET_SECONDS)) if made else True


def test_a_quiet_relay_has_a_few_retries_and_the_past_is_forgotten() -> None:
    budget = Budget()
    assert sum(budget.spend(100.0) for _ in range(50)) == BUDGET_MIN
    assert not budget.spend(100.0 + BUDGET_SECONDS)
    assert budget.spend(100.0 + 2 * BUDGET_SECONDS)


@pytest.mark.parametrize(("later", "more"), [
    (BUDGET_SECONDS - 0.1, 200), (BUDGET_SECONDS, 200), (2 * BUDGET_SECONDS - 0.1, 200),
    (2 * BUDGET_SECONDS, BUDGET_MIN), (3 * BUDGET_SECONDS, BUDGET_MIN),
])
def test_calls_of_the_last_window_count_and_older_ones_do_not(later: float, more: int) -> None:
    budget, now = Budget(), 100.0
    for _ in range(1000):
        budget.call(now)
    assert sum(budget.spend(now + later) for _ in range(500)) == more


def test_what_loads_nobody_counts_and_is_never_refused() -> None:
    budget = Budget()
    for _ in range(1000):
        budget.call(0.5)
    for _ in range(195):
        budget.note(1.0)
    assert sum(budget.spend(1.0) for _ in range(50)) == 5
    budget.note(1.0)
    # it counts for its own window, and not for the one that was
    budget.note(1.0 + 3 * BUDGET_SECONDS)
    assert sum(budget.spend(1.0 + 3 * BUDGET_SECONDS) for _ in range(50)) == BUDGET_MIN - 1


def test_the_table_is_in_the_documentation_as_it_is() -> None:
    def yes(value: bool) -> str:
        return "yes" if value else "no"

    page = (ROOT / "docs" / "routing.md").read_text("utf-8")
    for kind, rule in RULES.items():
        row = (f"| `{kind}` | {rule.meaning} | {yes(rule.onward)} | {yes(rule.again)} | "
               f"{rule.scope} | {rule.reason or '-'} |")
        assert page.count(row) == 1, kind
    assert page.count("\n| `") == len(RULES) + len(("connect", "first_byte", "idle", "total"))


def test_figures_in_the_documentation() -> None:
    page = " ".join((ROOT / "docs" / "routing.md").read_text("utf-8").split())
    share, least = f"{SHARE_MAX * 100:g} %", f"{RETRY_SHARE * 100:g} %"
    for figure in (f"up to {WAIT_SECONDS:g} s", f"up to {WAIT_SECONDS_MAX:g} s",
                   f"(default {least})", f"or {BUDGET_MIN} where", f"more than {share} of",
                   f"the last {BUDGET_SECONDS:g} to {2 * BUDGET_SECONDS:g} seconds",
                   f"{TRIP_FAILURES} failures in a row", f"for {COOL_SECONDS:g} s, then",
                   f"up to {COOL_SECONDS_MAX:g} s", f"at least {SHARE_FAILURES_MIN} failures",
                   f"else {REST_SECONDS:g} s", f"up to {ASKED_SECONDS_MAX:g} s: longer"):
        assert figure in page, figure
