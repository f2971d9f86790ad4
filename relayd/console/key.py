"""API keys of one's own: list, make, change, rotate, revoke.

Law: a key's text is in the answer that makes it, and in no other; every key is looked up under the
account that is signed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from relayd.console.page import options, page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import call, key, limit
from relayd.control.key import Issued, KeyWish
from relayd.core.errors import RelayError
from relayd.core.key import ApiKey
from relayd.core.limit import BUDGETS
from relayd.core.money import decimal
from relayd.core.timestamp import parse_future, rfc3339, rfc3339_or_none, span_ms

LIMITS: Final = (
    "requests_per_minute", "tokens_per_minute", "concurrent", "daily_budget", "monthly_budget")
Grace = Literal["0h", "1h", "24h", "7d"]
GRACES: Final[tuple[Grace, ...]] = ("0h", "1h", "24h", "7d")
KeyState = Literal["active", "expired", "revoked"]
STATES: Final[tuple[KeyState, ...]] = ("active", "expired", "revoked")
LISTED: Final = 100
"""Keys on one page."""
_BETWEEN: Final = re.compile(r"[\s,;]+")
_EXAMPLE: Final = {"key": "key_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a key of its own; null: none but the account's. Budgets are decimal texts."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    daily_budget: str | None = None
    monthly_budget: str | None = None


class Key(msgspec.Struct, frozen=True):
    """A key as lists show it. `last_used_at` is the start of the hour of its last call."""

    id: str
    name: str
    hint: str
    app: str | None
    models: list[str] | None
    state: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    replaces: str | None
    limits: KeyLimits


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made, and its text, which is told once."""

    key: Key
    text: str = ""

    def __repr__(self) -> str:
        return f"NewKey({self.key.id})"


class KeyOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program asks for. `models` null: all; `expires`: a date, a time, or a span."""

    name: str
    app: str | None = None
    models: list[str] | None = None
    expires: str | None = None
    limits: KeyLimits = KeyLimits()


class KeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is not named stays. Null takes a label, models or expiry away.
    `limits` are all of the key's: those that are not among them are taken away."""

    name: str | UnsetType = UNSET
    app: str | None | UnsetType = UNSET
    models: list[str] | None | UnsetType = UNSET
    expires: str | None | UnsetType = UNSET
    limits: KeyLimits | UnsetType = UNSET


class KeyForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form of a new key or a changed one; all texts, as fields of a form are."""

    name: str = ""
    app: str | None = None
    models: str | None = None
    expires: str | None = None
    requests_per_minute: str | None = None
    tokens_per_minute: str | None = None
    concurrent: str | None = None
    daily_budget: str | None = None
    monthly_budget: str | None = None


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old key goes on working."""

    grace: Grace = "24h"


class KeysQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys the page lists; None: all. `text`: a part of the name, the label or the hint;
    `before` is where a further page begins."""

    text: str | None = None
    state: KeyState | None = None
    before: str | None = None


def _wish(order: KeyOrder, now_ms: int) -> KeyWish:
    models = None if order.models is None else tuple(order.models)
    expires = None if order.expires is None else parse_future(order.expires, now_ms, "expires")
    return KeyWish(order.name, order.app, models, expires).checked()


def _order(form: KeyForm) -> KeyOrder:
    """The form as a program would say it."""
    models = [part for part in _BETWEEN.split(form.models or "") if part]
    return KeyOrder(form.name, form.app, models or None, form.expires)


def _limit_texts(found: KeyLimits | KeyForm) -> dict[str, str]:
    """Limits as `control.limit` takes them: what is not given is taken away."""
    given = {name: getattr(found, name) for name in LIMITS}
    return {name: limit.DEFAULT if value is None else str(value)
            for name, value in given.items()}


def _checked(limits: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in limits.items():
        if text != limit.DEFAULT:
            limit.parse(name, text)
    return limits


def shown(
    found: ApiKey, now_ms: int, limits: Mapping[str, int], used_ms: int | None = None
) -> Key:
    """The key for programs, and for templates."""
    own = {name: decimal(value, 2) if name in BUDGETS else value
           for name, value in limits.items()}
    return Key(
        id=found.id, name=found.name, hint=found.hint, app=found.app,
        models=None if found.models is None else list(found.models),
        state=key.state_shown(found, now_ms), created_at=rfc3339(found.created_at_ms),
        expires_at=rfc3339_or_none(found.expires_at_ms),
        last_used_at=rfc3339_or_none(used_ms), replaces=found.replaces,
        limits=msgspec.convert(own, KeyLimits),
    )


async def _one(visit: Visit, found: ApiKey) -> Key:
    _, limits = await limit.show(visit.db, "key", found.id)
    used = await call.last_used(visit.db, visit.account)
    return shown(found, visit.now_ms, limits, used.get(found.id))


async def _all(visit: Visit) -> list[Key]:
    """Keys, the newest first, those that work before those that do not."""
    found = await key.shown(visit.db, visit.account)
    limits = await limit.of_keys(visit.db, visit.account)
    used = await call.last_used(visit.db, visit.account)
    keys = [shown(each, visit.now_ms, limits.get(each.id, {}), used.get(each.id))
            for each in reversed(found)]
    return sorted(keys, key=lambda each: each.state != "active")


async def _create(visit: Visit, order: KeyOrder, limits: Mapping[str, str]) -> Issued:
    wish = _wish(order, visit.now_ms)
    _checked(limits)
    issued = await key.create(visit.db, visit.account, wish, visit.now_ms, visit.actor)
    if any(text != limit.DEFAULT for text in limits.values()):
        await limit.change(visit.db, "key", issued.key.id, limits, visit.now_ms, visit.actor)
    return issued


async def _change(
    visit: Visit, old: ApiKey, order: KeyOrder, limits: Mapping[str, str]
) -> ApiKey:
    wish = _wish(order, visit.now_ms)
    _checked(limits)
    changed = await key.change(visit.db, old.id, wish, visit.now_ms, visit.actor)
    if limits:
        await limit.change(visit.db, "key", old.id, limits, visit.now_ms, visit.actor)
    return changed


async def _rotate(visit: Visit) -> Issued:
    old = await _mine(visit)
    grace_ms = span_ms(visit.take(Rotation).grace) or 0
    return await key.rotate(visit.db, old.id, grace_ms, visit.now_ms, visit.actor)


async def _mine(visit: Visit) -> ApiKey:
    return await key.owned(visit.db, visit.account, visit.name("key"))


# pages


async def show_all(visit: Visit) -> web.Response:
    """The list, a page at a time."""
    asked, found = visit.ask(KeysQuery), await _all(visit)
    wanted = [each for each in found if _is_wanted(each, asked)]
    after = next((at for at, each in enumerate(wanted, 1) if each.id == asked.before), 0)
    ended = sum(each.state == "revoked" for each in found)
    return page(
        visit, "use/keys.html", asked=asked, any_keys=bool(found),
        keys=wanted[after:after + LISTED], more=len(wanted) > after + LISTED,
        many=len(found) > LISTED, states=options(visit, "keys.state_", STATES),
        ended_shown=key.ENDED_SHOWN if ended >= key.ENDED_SHOWN else None)


def _is_wanted(found: Key, asked: KeysQuery) -> bool:
    text = (asked.text or "").casefold()
    return asked.state in (None, found.state) and any(
        text in part.casefold() for part in (found.name, found.app or "", found.hint))


async def show_form(visit: Visit) -> web.Response:
    """The form of a new key."""
    return _form(visit, KeyForm())


def _form(visit: Visit, form: KeyForm, error: RelayError | None = None) -> web.Response:
    models = [route.pattern for route in visit.services.config().routes]
    return page(visit, "use/key_new.html", 200 if error is None else error.status, form=form,
                error=error, fault=error and error.param, models=models, limits=LIMITS)


async def make(visit: Visit) -> web.Response:
    """Makes the key and shows its text, once; or the form again, with what was wrong in it."""
    form = visit.take(KeyForm)
    try:
        issued = await _create(visit, _order(form), _limit_texts(form))
    except RelayError as error:
        return _form(visit, form, error)
    return await _told(visit, issued)


async def _told(visit: Visit, issued: Issued) -> web.Response:
    return page(visit, "use/key_told.html", key=await _one(visit, issued.key), text=issued.text)


async def show_one(visit: Visit) -> web.Response:
    """A key, and all that can be done with it."""
    return await _page_of(visit, await _mine(visit))


async def _page_of(
    visit: Visit, found: ApiKey, form: KeyForm | None = None, error: RelayError | None = None
) -> web.Response:
    mine = await _one(visit, found)
    form = form or KeyForm(
        mine.name, mine.app, "\n".join(mine.models or ()) or None, mine.expires_at,
        **{name: _text(getattr(mine.limits, name)) for name in LIMITS})
    return page(visit, "use/key.html", 200 if error is None else error.status, key=mine,
                form=form, error=error, fault=error and error.param, limits=LIMITS,
                graces=[(grace, visit.t(f"keys.grace_{grace}")) for grace in GRACES])


def _text(value: object) -> str | None:
    return None if value is None else str(value)


async def save(visit: Visit) -> web.Response:
    """Changes the key; shows the form again, with what was wrong in it."""
    form, old = visit.take(KeyForm), await _mine(visit)
    try:
        await _change(visit, old, _order(form), _limit_texts(form))
    except RelayError as error:
        return await _page_of(visit, old, form, error)
    return redirect(f"/keys/{old.id}")


async def rotate(visit: Visit) -> web.Response:
    """Another key takes its place, and is shown once."""
    return await _told(visit, await _rotate(visit))


async def revoke(visit: Visit) -> web.Response:
    """Ends the key."""
    old = await _mine(visit)
    await key.revoke(visit.db, old.id, visit.now_ms, visit.actor)
    return redirect("/keys")


# the same for programs


async def give_all(visit: Visit) -> web.Response:
    """All keys."""
    return reply(await _all(visit))


async def give_one(visit: Visit) -> web.Response:
    """One key."""
    return reply(await _one(visit, await _mine(visit)))


async def give_new(visit: Visit) -> web.Response:
    """A new key and its text."""
    order = visit.take(KeyOrder)
    issued = await _create(visit, order, _limit_texts(order.limits))
    return reply(NewKey(await _one(visit, issued.key), issued.text), 201)


async def give_changed(visit: Visit) -> web.Response:
    """The key, changed."""
    old, wish = await _mine(visit), visit.take(KeyChange)
    kept = KeyOrder(
        name=old.name if wish.name is UNSET else wish.name,
        app=old.app if wish.app is UNSET else wish.app,
        models=_models(old) if wish.models is UNSET else wish.models,
        expires=_expiry(old, visit.now_ms) if wish.expires is UNSET else wish.expires,
    )
    limits = {} if wish.limits is UNSET else _limit_texts(wish.limits)
    return reply(await _one(visit, await _change(visit, old, kept, limits)))


def _models(old: ApiKey) -> list[str] | None:
    return None if old.models is None else list(old.models)


def _expiry(old: ApiKey, now_ms: int) -> str | None:
    if old.expires_at_ms is not None and old.expires_at_ms <= now_ms:
        raise RelayError("key_state", param="key")
    return rfc3339_or_none(old.expires_at_ms)


async def give_rotated(visit: Visit) -> web.Response:
    """Another key in its place, and its text."""
    issued = await _rotate(visit)
    return reply(NewKey(await _one(visit, issued.key), issued.text), 201)


async def give_revoked(visit: Visit) -> web.Response:
    """The key, revoked."""
    old = await _mine(visit)
    ended = await key.revoke(visit.db, old.id, visit.now_ms, visit.actor)
    return reply(await _one(visit, ended))


_BAD: Final = ("invalid_value", "invalid_time")
_ONE: Final = "/api/v1/keys/{key}"
ROUTES: Final = (
    Route("GET", "/keys", show_all, HOLDER, "The keys.", asks=KeysQuery),
    Route("GET", "/keys/new", show_form, HOLDER, "The form of a new key."),
    Route("POST", "/keys/new", make, HOLDER, "Make a key.", takes=KeyForm),
    Route("GET", "/keys/{key}", show_one, HOLDER, "A key.", example=_EXAMPLE),
    Route("POST", "/keys/{key}", save, HOLDER, "Change a key.", takes=KeyForm, example=_EXAMPLE),
    Route("POST", "/keys/{key}/rotate", rotate, HOLDER, "Put another key in its place.",
          takes=Rotation, example=_EXAMPLE),
    Route("POST", "/keys/{key}/revoke", revoke, HOLDER, "End a key.", example=_EXAMPLE),
    Route("GET", "/api/v1/keys", give_all, HOLDER, "Keys of the account: all that are not revoked,"
          f" and the newest {key.ENDED_SHOWN} that are.", gives=list[Key]),
    Route("POST", "/api/v1/keys", give_new, HOLDER, "Make a key. Its text is told once.",
          takes=KeyOrder, gives=NewKey, status=201, errors=(*_BAD, "too_many_keys")),
    Route("GET", _ONE, give_one, HOLDER, "A key.", gives=Key, errors=("key_not_found",),
          example=_EXAMPLE),
    Route("PATCH", _ONE, give_changed, HOLDER, "Change a key.", takes=KeyChange, gives=Key,
          errors=(*_BAD, "key_not_found", "key_state"), example=_EXAMPLE),
    Route("POST", f"{_ONE}/rotate", give_rotated, HOLDER,
          "Put another key in its place, with the same rights. Its text is told once.",
          takes=Rotation, gives=NewKey, status=201,
          errors=("key_not_found", "key_state", "too_many_keys"), example=_EXAMPLE),
    Route("DELETE", _ONE, give_revoked, HOLDER, "Revoke a key.", gives=Key,
          errors=("key_not_found",), example=_EXAMPLE),
)
