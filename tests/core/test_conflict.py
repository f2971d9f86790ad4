"""Whose account it is decides who may do what to it."""

from __future__ import annotations

import pytest

from relayd.core.actor import ROLES, SHELL, SYSTEM, Actor, Role
from relayd.core.conflict import is_own, may_move, verdict


def operator(*roles: Role) -> Actor:
    return Actor("acct_op", frozenset(roles))


def test_own() -> None:
    assert is_own(operator("finance"), "acct_op") and not is_own(operator("finance"), "acct_1")
    # nobody's account is not the shell's
    assert not is_own(SHELL, None) and not is_own(SYSTEM, None) and not is_own(SHELL, "acct_1")


@pytest.mark.parametrize("role", ROLES)
def test_nobody_moves_their_own_account(role: Role) -> None:
    assert verdict(operator(role), "acct_op", ()) == "own_account"
    assert verdict(operator(*ROLES), "acct_op", (role,)) == "own_account"
    assert verdict(operator(role), "acct_1", ()) is None


@pytest.mark.parametrize("theirs", ROLES)
@pytest.mark.parametrize("ours", ROLES)
def test_D3_an_operator_s_account_is_moved_by_security_and_an_owner_s_by_nobody(
    ours: Role, theirs: Role
) -> None:
    allowed = ours == "security" and theirs != "owner"
    assert may_move(operator(ours), (theirs,)) is allowed
    assert verdict(operator(ours), "acct_1", (theirs,)) == (
        None if allowed else "operator_account")
    assert not may_move(operator(*ROLES), (theirs, "owner"))
    assert may_move(SHELL, (theirs,)) and may_move(SYSTEM, (theirs,))
