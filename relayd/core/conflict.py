"""Conflicts of interest: what an operator may not do because of whose account it is.

Law: nobody moves money of their own account, nor decides what is asked about it; whose account has
a role is moved by security alone, and an owner's by nobody here. Whoever is at the shell has no
account, and every right there is.
"""

from __future__ import annotations

from collections.abc import Collection

from relayd.core.actor import Actor, Role


def is_own(actor: Actor, account_id: str | None) -> bool:
    """Whether the account is the operator's own."""
    return actor.account is not None and actor.account == account_id


def may_move(actor: Actor, roles: Collection[Role]) -> bool:
    """Whether the operator may suspend, resume or terminate an account that has these roles."""
    if actor.account is None or not roles:
        return True
    return "owner" not in roles and actor.has("security")


def verdict(actor: Actor, account_id: str, roles: Collection[Role]) -> str | None:
    """The error's code where the operator may not move the account; None where they may."""
    if is_own(actor, account_id):
        return "own_account"
    return None if may_move(actor, roles) else "operator_account"
