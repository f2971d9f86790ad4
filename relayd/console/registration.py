"""Signing up: the form, the answer that is the same for everybody, the mailed link.

Law: no box is ticked beforehand; whatever the form does not ask for is refused. The link's page
does nothing by itself: programs that check mails open links too. In another browser than the one
that signed up it asks for the password: who only reads the mailbox makes nothing active.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console import cookie
from relayd.console.page import page, redirect, reply
from relayd.console.route import PUBLIC, Route
from relayd.console.signed import BUSY, FIRST_STEPS, Secret, Token, again, entered, told
from relayd.console.visit import Visit
from relayd.control import consent, registration
from relayd.control.consent import Offer
from relayd.control.registration import Proof, Registration
from relayd.core.account import Language
from relayd.core.consent import ITEMS
from relayd.core.errors import RelayError

ASKED: Final = tuple(name for name, item in ITEMS.items() if not (item.assumed or item.later))
"""The items that the form asks for."""


class SignUp(Secret, frozen=True):
    """The form. `agreed` has the names of the boxes that were ticked."""

    email: str = ""
    username: str = ""
    password: str = ""
    old_enough: bool = False
    agreed: list[str] = []


class SignUpOrder(Secret, frozen=True):
    """The same for programs."""

    email: str
    username: str
    password: str
    old_enough: bool
    agreed: list[str]
    language: Language = "en"


class MailedToken(Secret, frozen=True):
    """The token of a mailed link."""

    token: str = ""


class Verification(Secret, frozen=True):
    """The mailed token; the password, where another browser signed up."""

    token: str = ""
    password: str = ""


class VerificationOrder(Secret, frozen=True):
    """The same for programs."""

    token: str
    password: str


class TokenQuery(Secret, frozen=True):
    """A mailed link."""

    token: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """The same whoever asks: what comes next is in a mail."""

    next: str = "mail"


async def _offers(visit: Visit) -> list[Offer]:
    async with visit.db.reading() as transaction:
        found = await consent.offers(transaction, visit.language, visit.now_ms)
    return [offer for offer in found if offer.item.name in ASKED]


def _judge_open(visit: Visit) -> None:
    if visit.services.config().console.registration != "open":
        raise RelayError("registration_closed")


async def _form(visit: Visit, form: SignUp, error: RelayError | None = None) -> web.Response:
    values = {"form": form, "offers": await _offers(visit),
              "age": visit.services.config().console.minimum_age}
    if error is not None:
        return again(visit, "auth/sign_up.html", error, **values)
    return page(visit, "auth/sign_up.html", 200, error=None, fault=None, **values)


async def show(visit: Visit) -> web.Response:
    """The form, or that nobody can sign up here."""
    if visit.services.config().console.registration != "open":
        return page(visit, "auth/closed.html")
    return await _form(visit, SignUp())


async def sign_up(visit: Visit) -> web.Response:
    """Makes an account that is to be verified."""
    form = visit.take(SignUp)
    _judge_open(visit)
    try:
        mark = await _register(visit, form, visit.language)
    except RelayError as error:
        return await _form(visit, form, error)
    response = redirect("/sign-up/sent")
    cookie.put(response, cookie.REGISTERED, mark, visit.secure)
    return response


async def _register(visit: Visit, form: SignUp | SignUpOrder, language: Language) -> str:
    wish = Registration(form.email, form.username, form.password, form.old_enough,
                        frozenset(form.agreed), language)
    return await registration.register(visit.services.door, wish, visit.caller, visit.now_ms)


async def sent(visit: Visit) -> web.Response:
    """Look into the mailbox."""
    return page(visit, "auth/sent.html", about="sign_up")


async def show_verify(visit: Visit) -> web.Response:
    """The page of the mailed link: one button, where this browser signed up."""
    token = visit.ask(TokenQuery).token
    known = await registration.is_known(
        visit.services.door, token, _mark(visit), visit.now_ms)
    return page(visit, "auth/verify.html", error=None, fault=None, token=token, known=known,
                open=visit.services.config().console.registration == "open")


def _mark(visit: Visit) -> str:
    """What the browser was given when it signed up."""
    return cookie.read(visit.request, cookie.REGISTERED, visit.secure) or ""


async def verify(visit: Visit) -> web.Response:
    """The address is verified, and its holder signed in."""
    form = visit.take(Verification)
    try:
        opened = await registration.verify(
            visit.services.door, form.token, Proof(_mark(visit), form.password), visit.caller,
            visit.now_ms)
    except RelayError as error:
        token = "" if error.code == "token_not_usable" else form.token
        return again(visit, "auth/verify.html", error, token=token, known=False,
                     open=visit.services.config().console.registration == "open")
    response = entered(visit, opened, FIRST_STEPS)
    cookie.drop(response, cookie.REGISTERED, visit.secure)
    return response


async def give_sign_up(visit: Visit) -> web.Response:
    """The same for programs."""
    order = visit.take(SignUpOrder)
    _judge_open(visit)
    await _register(visit, SignUp(
        order.email, order.username, order.password, order.old_enough, order.agreed),
        order.language)
    return reply(Accepted(), 202)


async def give_verified(visit: Visit) -> web.Response:
    """A session, for the token of the mailed link and the password."""
    order = visit.take(VerificationOrder)
    opened = await registration.verify(
        visit.services.door, order.token, Proof(password=order.password), visit.caller,
        visit.now_ms)
    return reply(told(opened), 201)


_SIGN_UP_ERRORS: Final = (
    *BUSY, "registration_closed", "invalid_email", "mail_disposable", "invalid_value",
    "weak_password", "age_not_stated", "consent_required", "username_taken", "document_not_found")
ROUTES: Final = (
    Route("GET", "/sign-up", show, PUBLIC, "The form to sign up."),
    Route("POST", "/sign-up", sign_up, PUBLIC, "Sign up.", takes=SignUp),
    Route("GET", "/sign-up/sent", sent, PUBLIC, "A mail is on its way."),
    Route("GET", "/verify", show_verify, PUBLIC, "The mailed link.", asks=TokenQuery),
    Route("POST", "/verify", verify, PUBLIC, "Verify an address.", takes=Verification),
    Route("POST", "/api/v1/registrations", give_sign_up, PUBLIC,
          "Sign up. What comes next is in a mail.", takes=SignUpOrder, gives=Accepted, status=202,
          errors=_SIGN_UP_ERRORS),
    Route("POST", "/api/v1/registrations/verify", give_verified, PUBLIC,
          "Verify an address by the token of its mail and the password; the answer is a session.",
          takes=VerificationOrder, gives=Token, status=201,
          errors=(*BUSY, "token_not_usable", "wrong_credentials", "account_state")),
)
