"""The enterprise profile, for accounts that are marked as a company's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route, operators
from relayd.console.visit import Visit
from relayd.control import enterprise
from relayd.core.enterprise import Enterprise as CoreEnterprise
from relayd.core.errors import RelayError

MONEY: Final = operators("finance")
_NAMES: Final = ("name", "uscc", "address", "phone", "bank", "bank_account")


class Enterprise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a company says of itself. Bank and telephone: only where a fapiao shall show them."""

    name: str = ""
    uscc: str = ""
    address: str = ""
    phone: str = ""
    bank: str = ""
    bank_account: str = ""

    def __repr__(self) -> str:
        return "Enterprise"


class EnterpriseStanding(msgspec.Struct, frozen=True):
    """Whether the account is a company's, and what the company said."""

    marked: bool
    profile: Enterprise | None


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account, and whether it is a company's."""

    account: str = ""
    company: bool = False


async def _standing(visit: Visit) -> EnterpriseStanding:
    found = await enterprise.find(visit.db, visit.account)
    profile = None if found is None or found.profile is None else Enterprise(
        **asdict(found.profile))
    return EnterpriseStanding(found is not None, profile)


async def _write(visit: Visit, form: Enterprise) -> None:
    profile = CoreEnterprise(**msgspec.structs.asdict(form))
    await enterprise.change(visit.db, visit.actor, visit.account, profile, visit.now_ms)


async def show(visit: Visit) -> web.Response:
    """The profile, to change."""
    return await _page(visit)


async def _page(
    visit: Visit, form: Enterprise | None = None, error: RelayError | None = None
) -> web.Response:
    standing = await _standing(visit)
    return page(visit, "money/enterprise.html", 200 if error is None else error.status,
                marked=standing.marked, has=standing.profile is not None, names=_NAMES,
                form=form or standing.profile or Enterprise(), error=error,
                fault=error and error.param)


async def write(visit: Visit) -> web.Response:
    """Writes it, or shows the form again with what was wrong in it."""
    form = visit.take(Enterprise)
    try:
        await _write(visit, form)
    except RelayError as error:
        return await _page(visit, form, error)
    return redirect("/enterprise")


async def remove(visit: Visit) -> web.Response:
    """Nothing is said any more; copies on documents that were issued stay there."""
    await enterprise.change(visit.db, visit.actor, visit.account, None, visit.now_ms)
    return redirect("/enterprise")


async def mark(visit: Visit) -> web.Response:
    """Marks an account, or takes the mark away."""
    asked = visit.take(Mark)
    change = enterprise.mark if asked.company else enterprise.unmark
    await change(visit.db, visit.actor, asked.account.strip(), visit.now_ms)
    return redirect("/operate/fapiao")


async def give(visit: Visit) -> web.Response:
    """The profile."""
    return reply(await _standing(visit))


async def give_written(visit: Visit) -> web.Response:
    """The profile, as it is now."""
    await _write(visit, visit.take(Enterprise))
    return reply(await _standing(visit))


async def give_marked(visit: Visit) -> web.Response:
    """The account is marked, or is not any more."""
    asked = visit.take(Mark)
    change = enterprise.mark if asked.company else enterprise.unmark
    await change(visit.db, visit.actor, asked.account, visit.now_ms)
    return web.Response(status=204)


ROUTES: Final = (
    Route("GET", "/enterprise", show, HOLDER, "The enterprise profile"),
    Route("POST", "/enterprise", write, HOLDER, "Change the enterprise profile",
          takes=Enterprise),
    Route("POST", "/enterprise/remove", remove, HOLDER, "Delete the enterprise profile"),
    Route("POST", "/operate/enterprises", mark, MONEY, "Mark a company's account", takes=Mark),
    Route("GET", "/api/v1/enterprise", give, HOLDER, "The enterprise profile",
          gives=EnterpriseStanding),
    Route("PUT", "/api/v1/enterprise", give_written, HOLDER, "Change the enterprise profile",
          takes=Enterprise, gives=EnterpriseStanding,
          errors=("not_enterprise", "invalid_uscc", "invalid_value")),
    Route("POST", "/api/v1/operate/enterprises", give_marked, MONEY, "Mark a company's account",
          takes=Mark, status=204, errors=("account_not_found", "account_state")),
)
