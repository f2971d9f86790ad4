"""Rules against abuse: each fires at its bound, and none can see content."""

from __future__ import annotations

import ast
import typing
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core import abuse
from relayd.core.abuse import (
    MOVES, RULES, AbuseRules, Finding, Found, Signs, State, Verdict, advance, judge,
)
from relayd.core.errors import RelayError

CALM = Signs("acct_1")
ON = AbuseRules()
NUMBERS = st.integers(0, 10**9)


def test_N2_what_rules_see_has_no_place_for_content() -> None:
    """U6: an account's id, numbers, one yes or no."""
    kinds = typing.get_type_hints(Signs)
    assert {name for name, kind in kinds.items() if kind not in (int, bool)} == {"account"}
    assert kinds["account"] is str
    kept = typing.get_type_hints(Finding)
    assert {name for name, kind in kept.items() if kind is str} == {"id", "account"}


def test_N2_the_rules_reach_nothing_else() -> None:
    """The module imports no store, no relay, no wire: there is no way to a body from here."""
    tree = ast.parse(Path(abuse.__file__).read_text("utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in found if name and name.startswith("relayd")} == {
        "relayd.core.errors", "relayd.core.standing"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]


FIRING: list[tuple[Signs, Found]] = [
    (replace(CALM, hour_calls=2000), Found("velocity", 2000, 2000)),
    (replace(CALM, hour_calls=4000, usual_hour_calls=200), Found("velocity", 4000, 4000)),
    (replace(CALM, key_networks=20), Found("key_sharing", 20, 20)),
    (replace(CALM, payments=8, payments_failed=5), Found("declines", 5, 5)),
    (replace(CALM, payments=6, payments_returned=3), Found("refunds", 3, 3)),
    (replace(CALM, disposable_mail=True), Found("disposable_mail", 1, 1)),
    (replace(CALM, wrong_sign_ins=100), Found("credential_stuffing", 100, 100)),
]


@pytest.mark.parametrize(("signs", "found"), FIRING)
def test_each_rule_fires_at_its_bound(signs: Signs, found: Found) -> None:
    assert list(judge(signs, ON)) == [found]


@pytest.mark.parametrize("signs", [
    CALM, replace(CALM, hour_calls=1999),
    replace(CALM, hour_calls=3999, usual_hour_calls=200),
    replace(CALM, key_networks=19), replace(CALM, payments=9, payments_failed=5),
    replace(CALM, payments=4, payments_failed=4), replace(CALM, payments=7, payments_returned=3),
    replace(CALM, wrong_sign_ins=99),
])
def test_below_its_bound_no_rule_fires(signs: Signs) -> None:
    assert list(judge(signs, ON)) == []


def test_every_rule_was_tried_and_has_a_reason() -> None:
    assert {found.rule for _, found in FIRING} == set(RULES)


@given(st.builds(Signs, st.just("a"), *[NUMBERS] * 7, st.booleans()))
def test_0_turns_a_rule_off(signs: Signs) -> None:
    off = AbuseRules(calls_per_hour=0, key_networks=0, payments_failed=0, payments_returned=0,
                     wrong_sign_ins=0, disposable_mail="allow")
    assert list(judge(signs, off)) == []


@given(st.builds(Signs, st.just("a"), *[NUMBERS] * 7, st.booleans()))
def test_what_fires_has_reached_its_bound(signs: Signs) -> None:
    for found in judge(signs, ON):
        assert found.figure >= found.bound > 0


@pytest.mark.parametrize("state", ["open", "lifted", "confirmed"])
@pytest.mark.parametrize("verdict", ["lift", "confirm"])
def test_moves(state: State, verdict: Verdict) -> None:
    if (state, verdict) in MOVES:
        assert advance(state, verdict) == MOVES[state, verdict]
    else:
        with pytest.raises(RelayError) as caught:
            advance(state, verdict)
        assert caught.value.code == "finding_state"


def test_the_bounds_have_names() -> None:
    assert {field.name for field in fields(AbuseRules)} >= {
        "calls_per_hour", "key_networks", "payments_failed", "wrong_sign_ins", "suspend"}
