"""The settings' first page: username, name, language and country, and where the rest is."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from relayd.console import cookie
from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.signed import Secret, again
from relayd.console.visit import Visit
from relayd.control import passkey, profile, totp
from relayd.control.profile import Profile
from relayd.core.account import Account, Language
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339


class ProfileForm(Secret, frozen=True):
    """The form; what is empty is taken away."""

    username: str | None = None
    name: str | None = None
    language: Language = "en"
    country: str | None = None


class ProfileChange(Secret, frozen=True):
    """What shall change; what is not named stays, null takes it away."""

    username: str | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    country: str | None | UnsetType = UNSET


class Me(msgspec.Struct, frozen=True):
    """The account that is signed in."""

    id: str
    email: str | None
    username: str | None
    name: str | None
    language: Language
    country: str | None
    state: str
    created_at: str
    roles: list[str]

    def __repr__(self) -> str:
        return f"Me({self.id})"


def _me(visit: Visit, account: Account) -> Me:
    return Me(account.id, account.email, account.username, account.name, account.language,
              account.country, account.state, rfc3339(account.created_at_ms),
              sorted(visit.me.roles))


async def _values(visit: Visit, form: ProfileForm) -> dict[str, object]:
    on, codes = await totp.standing(visit.db, visit.account)
    passkeys = await passkey.listing(visit.db, visit.account)
    return {"form": form, "me": _me(visit, visit.me.account), "totp": on, "codes": codes,
            "passkeys": len(passkeys)}


async def show(visit: Visit) -> web.Response:
    """The page."""
    me = visit.me.account
    form = ProfileForm(me.username, me.name, me.language, me.country)
    return page(visit, "settings/profile.html", 200, error=None, fault=None,
                **await _values(visit, form))


async def save(visit: Visit) -> web.Response:
    """Keeps the profile; the page is in its language from now on."""
    form = visit.take(ProfileForm)
    wish = Profile(form.username, form.name, form.language, form.country)
    try:
        await profile.change(visit.db, visit.actor, visit.account, wish, visit.now_ms)
    except RelayError as error:
        return again(visit, "settings/profile.html", error, **await _values(visit, form))
    response = redirect("/settings")
    cookie.put(response, cookie.LANGUAGE, form.language, visit.secure)
    return response


async def give(visit: Visit) -> web.Response:
    """The account."""
    return reply(_me(visit, visit.me.account))


async def give_changed(visit: Visit) -> web.Response:
    """The account, changed."""
    change, me = visit.take(ProfileChange), visit.me.account
    wish = Profile(
        me.username if change.username is UNSET else change.username,
        me.name if change.name is UNSET else change.name,
        me.language if change.language is UNSET else change.language,
        me.country if change.country is UNSET else change.country)
    changed = await profile.change(visit.db, visit.actor, visit.account, wish, visit.now_ms)
    return reply(_me(visit, changed))


ROUTES: Final = (
    Route("GET", "/settings", show, HOLDER, "Settings."),
    Route("POST", "/settings", save, HOLDER, "Keep the profile.", takes=ProfileForm),
    Route("GET", "/api/v1/account", give, HOLDER, "The account that is signed in.", gives=Me,
          closing=True),
    Route("PATCH", "/api/v1/account", give_changed, HOLDER, "Change one's own profile.",
          takes=ProfileChange, gives=Me, errors=("invalid_value", "username_taken")),
)
