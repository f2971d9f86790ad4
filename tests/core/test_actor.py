"""Who acts: roles, and what holds none."""

from relayd.core.actor import ROLES, SHELL, SYSTEM, Actor


def test_a_holder_has_no_role():
    assert not Actor("acct_1").has(*ROLES)


def test_one_of_several_roles_is_enough():
    assert Actor("acct_1", frozenset({"finance"})).has("support", "finance")
    assert not Actor("acct_1", frozenset({"finance"})).has("support", "legal")


def test_the_shell_has_every_role_and_a_job_none():
    assert all(SHELL.has(role) for role in ROLES)
    assert not any(SYSTEM.has(role) for role in ROLES)
