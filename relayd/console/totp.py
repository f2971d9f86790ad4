"""The authenticator: its QR code, its first code, its recovery codes.

Law: the secret is in the page that sets it up, its image and its answer to a program, all of them
behind a fresh proof; recovery codes are in the answer that makes them.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import nothing, page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.signed import Secret, again
from relayd.console.visit import Visit
from relayd.control import passkey, totp
from relayd.core.errors import RelayError
from relayd.core.totp import Totp, secret_text
from relayd.ops import qr


class TotpCode(Secret, frozen=True):
    """The authenticator's first code."""

    code: str = ""


class Enrolment(msgspec.Struct, frozen=True):
    """What an authenticator needs: as text, and as the QR code has it."""

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "Enrolment"


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes for the day on which the authenticator is lost; each works once."""

    codes: list[str]

    def __repr__(self) -> str:
        return "RecoveryCodes"


class Factors(msgspec.Struct, frozen=True):
    """Which second factors are on."""

    totp: bool
    recovery_codes: int
    passkeys: int
    two_factors: bool


async def show(visit: Visit) -> web.Response:
    """All second factors."""
    on, codes = await totp.standing(visit.db, visit.account)
    passkeys = await passkey.listing(visit.db, visit.account)
    return page(visit, "settings/factors.html", totp=on, codes=codes, passkeys=passkeys,
                error=None, operator=bool(visit.me.roles))


async def begin(visit: Visit) -> web.Response:
    """Begins an authenticator."""
    await totp.begin(visit.db, visit.me.account, visit.now_ms)
    return redirect("/settings/totp")


async def _pending(visit: Visit) -> Totp | None:
    try:
        return await totp.pending(visit.db, visit.account)
    except RelayError:
        return None


async def show_enrolment(visit: Visit) -> web.Response:
    """The QR code and the form of the first code; without either, back to all factors."""
    found = await _pending(visit)
    if found is None:
        return redirect("/settings/factors")
    return page(visit, "settings/totp.html", secret=secret_text(found.secret), error=None,
                fault=None)


async def show_qr(visit: Visit) -> web.Response:
    """The QR code."""
    found = await totp.pending(visit.db, visit.account)
    drawn = await qr.drawn(totp.enrolment(found, visit.me.account))
    return web.Response(body=drawn, content_type=qr.MEDIA_TYPE)


async def confirm(visit: Visit) -> web.Response:
    """Turns it on; shows the recovery codes."""
    try:
        codes = await totp.confirm(
            visit.services.door, visit.account, visit.take(TotpCode).code, visit.caller,
            visit.now_ms, visit.me.session.id)
    except RelayError as error:
        found = await _pending(visit)
        if found is None:
            raise
        return again(visit, "settings/totp.html", error, secret=secret_text(found.secret))
    return page(visit, "settings/codes.html", codes=codes)


async def renew_codes(visit: Visit) -> web.Response:
    """Shows other recovery codes."""
    codes = await totp.new_codes(
        visit.services.door, visit.account, visit.caller, visit.now_ms)
    return page(visit, "settings/codes.html", codes=codes)


async def remove(visit: Visit) -> web.Response:
    """Turns it off."""
    await totp.remove(visit.services.door, visit.account, visit.caller, visit.now_ms)
    return redirect("/settings/factors")


async def give(visit: Visit) -> web.Response:
    """Which factors are on."""
    on, codes = await totp.standing(visit.db, visit.account)
    passkeys = await passkey.listing(visit.db, visit.account)
    return reply(Factors(on, codes, len(passkeys), visit.me.session.two_factors))


async def give_begun(visit: Visit) -> web.Response:
    """What an authenticator needs."""
    found = await totp.begin(visit.db, visit.me.account, visit.now_ms)
    return reply(Enrolment(secret_text(found.secret), totp.enrolment(found, visit.me.account)),
                 201)


async def give_codes(visit: Visit) -> web.Response:
    """It is on; the recovery codes."""
    return reply(RecoveryCodes(await totp.confirm(
        visit.services.door, visit.account, visit.take(TotpCode).code, visit.caller,
        visit.now_ms, visit.me.session.id)), 201)


async def give_new_codes(visit: Visit) -> web.Response:
    """Other recovery codes."""
    return reply(RecoveryCodes(await totp.new_codes(
        visit.services.door, visit.account, visit.caller, visit.now_ms)), 201)


async def give_removed(visit: Visit) -> web.Response:
    """It is off."""
    await totp.remove(visit.services.door, visit.account, visit.caller, visit.now_ms)
    return nothing()


ROUTES: Final = (
    Route("GET", "/settings/factors", show, HOLDER, "Second factors."),
    Route("POST", "/settings/totp/begin", begin, HOLDER, "Begin an authenticator.", proof=True,
          factors=True),
    Route("GET", "/settings/totp", show_enrolment, HOLDER, "Set up an authenticator.",
          proof=True, factors=True),
    Route("GET", "/settings/totp/qr.svg", show_qr, HOLDER, "Its QR code.", proof=True,
          factors=True),
    Route("POST", "/settings/totp", confirm, HOLDER, "Turn it on.", takes=TotpCode, proof=True,
          factors=True),
    Route("POST", "/settings/totp/codes", renew_codes, HOLDER, "Other recovery codes.",
          proof=True, factors=True),
    Route("POST", "/settings/totp/remove", remove, HOLDER, "Turn it off.", proof=True,
          factors=True),
    Route("GET", "/api/v1/factors", give, HOLDER, "Which second factors are on.", gives=Factors),
    Route("POST", "/api/v1/totp", give_begun, HOLDER, "Begin an authenticator.", gives=Enrolment,
          status=201, proof=True, factors=True, errors=("account_state",)),
    Route("POST", "/api/v1/totp/confirm", give_codes, HOLDER,
          "Turn it on by its first code; recovery codes are told once.", takes=TotpCode,
          gives=RecoveryCodes, status=201, proof=True, factors=True,
          errors=("factor_not_found", "wrong_code")),
    Route("POST", "/api/v1/totp/codes", give_new_codes, HOLDER, "Other recovery codes.",
          gives=RecoveryCodes, status=201, proof=True, factors=True, errors=("factor_not_found",)),
    Route("DELETE", "/api/v1/totp", give_removed, HOLDER, "Turn it off.", status=204,
          proof=True, factors=True, errors=("factor_not_found",)),
)
