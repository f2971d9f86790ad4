"""Lawful requests: the table of states, two people, scopes, when the owner is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from relayd.core.actor import SHELL, SYSTEM, Actor
from relayd.core.errors import RelayError
from relayd.core.lawful import (
    BASES, ENDED, MOVES, SCOPES, STATES, LawfulRequest, advance, check_scope, check_sha256,
    judge_approval, person,
)

REQUEST = LawfulRequest(
    "req_1", "acct_1", "court_order", "open", "Canary Court", "Canary 12/26", "0" * 64,
    ("profile",), 0, 100, "acct_op", 5, 1000)
WORDS = ("approve", "refuse", "produce", "answer", "expire")


def code(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        work()  # type: ignore[operator]
    return caught.value.code


@pytest.mark.parametrize(("state", "move"), list(product(STATES, WORDS)))
def test_the_table_and_its_complement(state: str, move: str) -> None:
    if (state, move) in MOVES:
        assert advance(state, move) == MOVES[state, move]  # type: ignore[arg-type, index]
    else:
        assert code(lambda: advance(state, move)) == "request_state"  # type: ignore[arg-type]


def test_S3_nothing_is_produced_without_an_approval() -> None:
    assert {state for state, move in MOVES if move == "produce"} == {"approved"}
    assert {state for state, _ in MOVES}.isdisjoint(ENDED)


@pytest.mark.parametrize("basis", BASES)
def test_S3_one_person_alone_does_not_approve(basis: str) -> None:
    request = replace(REQUEST, basis=basis)  # type: ignore[type-var]
    everything = frozenset({"owner", "legal"})
    assert code(lambda: judge_approval(
        request, "acct_op", everything)) == "two_persons"  # type: ignore[arg-type]
    judge_approval(request, "acct_other", everything)  # type: ignore[arg-type]


@pytest.mark.parametrize(("entered", "decides"), [
    ("acct_op", "shell:ann"), ("shell:ann", "acct_op"), ("acct_op", "shell:acct_op"),
    ("shell:ann", "shell:ann"),
])
def test_S3_one_person_with_a_shell_and_an_account_is_one(entered: str, decides: str) -> None:
    request = replace(REQUEST, requester=entered)
    everything = frozenset({"owner", "legal"})
    assert code(lambda: judge_approval(
        request, decides, everything)) == "two_persons"  # type: ignore[arg-type]
    assert code(lambda: judge_approval(request, decides, frozenset())) == "two_persons"
    for pair in (("acct_a", "acct_b"), ("shell:a", "shell:b")):
        judge_approval(replace(REQUEST, requester=pair[0]), pair[1],
                       everything)  # type: ignore[arg-type]


def test_S4_protecting_rights_takes_the_owner() -> None:
    request = replace(REQUEST, basis="rights_protection")
    assert code(lambda: judge_approval(request, "acct_x", frozenset({"legal"}))) == "role_needed"
    judge_approval(request, "acct_x", frozenset({"owner"}))
    assert code(lambda: judge_approval(
        REQUEST, "acct_x", frozenset({"support", "security"}))) == "role_needed"


def test_who_acts_is_an_account_or_a_user_of_the_system() -> None:
    assert person(Actor("acct_1")) == "acct_1" and person(SHELL, "ann") == "shell:ann"
    assert code(lambda: person(SHELL)) == code(lambda: person(SYSTEM, "ann")) == "two_persons"


def test_scopes_and_hashes() -> None:
    assert check_scope(("content", "keys", "profile")) == ("profile", "keys", "content")
    assert check_scope(SCOPES[::-1]) == SCOPES
    for words in ((), ("prompts",), ("profile", "everything")):
        assert code(lambda words=words: check_scope(words)) == "invalid_value"
    assert check_sha256(" " + "AB" * 32) == "ab" * 32
    assert code(lambda: check_sha256("ab")) == "invalid_value"
    assert replace(REQUEST, scope=("content",)).only_content and not REQUEST.only_content


def test_no_name_in_a_repr() -> None:
    assert "Canary" not in repr(REQUEST)
