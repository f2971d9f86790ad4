"""Operators and their roles, for those who have the role `owner`.

Law: nobody changes their own roles here; whoever gets or loses one signs in again.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import Route, operators
from relayd.console.signed import Secret, again
from relayd.console.visit import Visit
from relayd.control import role
from relayd.core.actor import ROLES, Role
from relayd.core.errors import RelayError
from relayd.core.mask import masked

OWNERS: Final = operators("owner")


class RoleForm(Secret, frozen=True):
    """Whose role: an account's id, or its whole e-mail address."""

    account: str = ""
    role: Role = "support"


class RoleOrder(Secret, frozen=True):
    """The same for programs."""

    account: str
    role: Role


class Operator(msgspec.Struct, frozen=True):
    """An operator; the address is masked."""

    account: str
    email: str | None
    roles: list[Role]


class Changed(msgspec.Struct, frozen=True):
    """Whether anything changed: the role may have been given, or taken, before."""

    changed: bool


async def _all(visit: Visit) -> list[Operator]:
    return [Operator(account.id, None if account.email is None else masked(account.email),
                     list(roles))
            for account, roles in await role.listing(visit.db)]


async def show(visit: Visit) -> web.Response:
    """The list, and the form to give a role."""
    return page(visit, "operate/operators.html", operators=await _all(visit), roles=ROLES,
                account="", error=None, fault=None)


async def _again(visit: Visit, error: RelayError) -> web.Response:
    return again(visit, "operate/operators.html", error, operators=await _all(visit),
                 roles=ROLES, account=visit.take(RoleForm).account)


async def give(visit: Visit) -> web.Response:
    """Gives a role."""
    form = visit.take(RoleForm)
    try:
        await role.give(visit.db, visit.actor, form.account, form.role, visit.now_ms)
    except RelayError as error:
        return await _again(visit, error)
    return redirect("/operate/operators")


async def take(visit: Visit) -> web.Response:
    """Takes a role."""
    form = visit.take(RoleForm)
    try:
        await role.take(visit.db, visit.actor, form.account, form.role, visit.now_ms)
    except RelayError as error:
        return await _again(visit, error)
    return redirect("/operate/operators")


async def give_all(visit: Visit) -> web.Response:
    """The list."""
    return reply(await _all(visit))


async def give_given(visit: Visit) -> web.Response:
    """A role is given."""
    order = visit.take(RoleOrder)
    return reply(Changed(await role.give(
        visit.db, visit.actor, order.account, order.role, visit.now_ms)))


async def give_taken(visit: Visit) -> web.Response:
    """A role is taken."""
    order = visit.take(RoleOrder)
    return reply(Changed(await role.take(
        visit.db, visit.actor, order.account, order.role, visit.now_ms)))


_ERRORS: Final = ("account_not_found", "account_state", "role_needed")
ROUTES: Final = (
    Route("GET", "/operate/operators", show, OWNERS, "Operators and their roles."),
    Route("POST", "/operate/operators/give", give, OWNERS, "Give a role.", takes=RoleForm,
          proof=True),
    Route("POST", "/operate/operators/take", take, OWNERS, "Take a role.", takes=RoleForm,
          proof=True),
    Route("GET", "/api/v1/operators", give_all, OWNERS, "Operators and their roles.",
          gives=list[Operator]),
    Route("POST", "/api/v1/operators/give", give_given, OWNERS, "Give a role.", takes=RoleOrder,
          gives=Changed, proof=True, errors=_ERRORS),
    Route("POST", "/api/v1/operators/take", give_taken, OWNERS, "Take a role.", takes=RoleOrder,
          gives=Changed, proof=True, errors=_ERRORS),
)
