"""Passkeys of one's own: add, list, remove."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.sign_in import PasskeyOptions, parsed
from relayd.console.signed import Secret, again
from relayd.console.visit import Visit
from relayd.control import passkey, totp
from relayd.core.errors import RelayError
from relayd.core.passkey import Passkey as Kept

_EXAMPLE: Final = {"passkey": "pk_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}


class Passkey(msgspec.Struct, frozen=True):
    """A passkey as its owner sees it."""

    id: str
    name: str
    created_at: str
    used_at: str | None

    def __repr__(self) -> str:
        return f"Passkey({self.id})"


class NewPasskey(Secret, frozen=True):
    """The form: what to call it, and what the browser's script puts there."""

    name: str = ""
    answer: str = ""


class NewPasskeyOrder(Secret, frozen=True):
    """The same for programs: the answer of `navigator.credentials.create()` in its JSON form."""

    name: str
    answer: dict[str, Any]


async def _add(visit: Visit, name: str, answer: dict[str, Any]) -> Kept:
    return await passkey.add(
        visit.services.door, visit.account, name, answer, (visit.caller, visit.now_ms))


async def add(visit: Visit) -> web.Response:
    """Keeps the passkey that the browser made."""
    form = visit.take(NewPasskey)
    try:
        await _add(visit, form.name, parsed(form.answer))
    except RelayError as error:
        on, codes = await totp.standing(visit.db, visit.account)
        return again(
            visit, "settings/factors.html", error, totp=on, codes=codes,
            passkeys=await passkey.listing(visit.db, visit.account),
            operator=bool(visit.me.roles))
    return redirect("/settings/factors")


async def remove(visit: Visit) -> web.Response:
    """Deletes one."""
    await passkey.remove(visit.services.door, visit.account, visit.name("passkey"),
                         (visit.caller, visit.now_ms))
    return redirect("/settings/factors")


async def show_new(visit: Visit) -> web.Response:
    """The form of a new one; behind a fresh proof."""
    return page(visit, "settings/passkey.html")


async def give_all(visit: Visit) -> web.Response:
    """All of them."""
    found = await passkey.listing(visit.db, visit.account)
    return reply([msgspec.convert(passkey.view(each), Passkey) for each in found])


async def give_options(visit: Visit) -> web.Response:
    """What a browser needs to make one."""
    return reply(PasskeyOptions(await passkey.options_to_add(
        visit.services.door, visit.me.account, visit.now_ms)))


async def give_added(visit: Visit) -> web.Response:
    """The new one."""
    order = visit.take(NewPasskeyOrder)
    made = await _add(visit, order.name, order.answer)
    return reply(msgspec.convert(passkey.view(made), Passkey), 201)


async def give_removed(visit: Visit) -> web.Response:
    """It is gone."""
    await passkey.remove(visit.services.door, visit.account, visit.name("passkey"),
                         (visit.caller, visit.now_ms))
    return nothing()


ROUTES: Final = (
    Route("GET", "/settings/passkeys/new", show_new, HOLDER, "The form of a passkey.",
          proof=True, factors=True),
    Route("POST", "/settings/passkeys/new", add, HOLDER, "Add a passkey.", takes=NewPasskey,
          proof=True, factors=True),
    Route("POST", "/settings/passkeys/{passkey}/remove", remove, HOLDER, "Remove a passkey.",
          proof=True, factors=True, example=_EXAMPLE),
    Route("GET", "/api/v1/passkeys", give_all, HOLDER, "One's own passkeys.",
          gives=list[Passkey]),
    Route("POST", "/api/v1/passkeys/options", give_options, HOLDER,
          "What a browser needs to make a passkey.", gives=PasskeyOptions, proof=True,
          factors=True, errors=("account_state",)),
    Route("POST", "/api/v1/passkeys", give_added, HOLDER, "Add a passkey.",
          takes=NewPasskeyOrder, gives=Passkey, status=201, proof=True, factors=True,
          errors=("passkey_refused", "invalid_value")),
    Route("DELETE", "/api/v1/passkeys/{passkey}", give_removed, HOLDER, "Remove a passkey.",
          status=204, proof=True, factors=True, errors=("factor_not_found",), example=_EXAMPLE),
)
