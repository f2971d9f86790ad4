"""Signing in and out, the second factor, the proof before what is sensitive.

Law: whoever is not there yet gets a session that opens nothing but the page of the second factor.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from relayd.console import cookie
from relayd.console.page import nothing, page, redirect, reply
from relayd.console.preference import local
from relayd.console.registration import MailedToken, TokenQuery
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.signed import (
    BUSY, FIRST_PAGE, Back, Secret, Token, again, entered, through, told,
)
from relayd.console.visit import Visit
from relayd.control import passkey, sign_in
from relayd.core.account import AccountState
from relayd.core.errors import RelayError
from relayd.core.session import Session

LED: Final[dict[AccountState, str]] = {"closing": "/privacy/erase", "terminated": "/privacy"}
"""Where the holder is led whose account has come to an end: their data is there."""


class SignIn(Secret, frozen=True):
    """The form: an e-mail address or a username, and the password."""

    login: str = ""
    password: str = ""
    next: str = FIRST_PAGE


class Code(Secret, frozen=True):
    """A code of the authenticator, or a recovery code."""

    code: str = ""
    next: str = FIRST_PAGE


class PasskeyForm(Secret, frozen=True):
    """What the browser's script puts into the form: the answer of the passkey, as JSON."""

    answer: str = ""
    next: str = FIRST_PAGE


class Proof(Secret, frozen=True):
    """The password once more; for who has none a code of the authenticator."""

    password: str = ""
    next: str = FIRST_PAGE


class SignInOrder(Secret, frozen=True):
    """The same for programs."""

    login: str
    password: str


class CodeOrder(Secret, frozen=True):
    """The same for programs."""

    code: str


class ProofOrder(Secret, frozen=True):
    """The same for programs."""

    password: str


class PasskeyAnswer(Secret, frozen=True):
    """The answer of `navigator.credentials.get()` in its JSON form (WebAuthn level 3)."""

    answer: dict[str, Any]


class PasskeyOptions(msgspec.Struct, frozen=True):
    """What `navigator.credentials` takes as `publicKey`, in its JSON form."""

    options: dict[str, Any]


def pending(visit: Visit) -> Session:
    """The session that waits for its second factor. Raises `session_ended`."""
    if visit.who is None or visit.who.session.stage != "factor":
        raise RelayError("session_ended")
    return visit.who.session


def parsed(text: str) -> dict[str, Any]:
    """A passkey's answer out of a form. Raises `passkey_refused`."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RelayError("passkey_refused")
    return found


# pages


async def show(visit: Visit) -> web.Response:
    """The form; the one of the second factor for who has come so far; on for who is there."""
    back = visit.ask(Back).next
    if visit.who is not None and visit.who.session.stage == "open":
        return redirect(LED.get(visit.who.account.state) or local(back))
    return _form(visit, back)


def _form(visit: Visit, back: str, error: RelayError | None = None) -> web.Response:
    lost = visit.who is None and isinstance(visit.asked, Back) and visit.asked.signed
    values = {"back": local(back), "login": "", "lost": lost,
              "open": visit.services.config().console.registration == "open"}
    waits = visit.who is not None and visit.who.session.stage == "factor"
    template = "auth/code.html" if waits else "auth/sign_in.html"
    if error is not None:
        return again(visit, template, error, **values)
    return page(visit, template, 200, error=None, fault=None, **values)


async def enter(visit: Visit) -> web.Response:
    """Signs in by a password; on to the second factor where there is one."""
    form = visit.take(SignIn)
    try:
        opened = await sign_in.sign_in(
            visit.services.door, form.login, form.password, visit.caller, visit.now_ms)
    except RelayError as error:
        visit.who = None
        return _form(visit, form.next, error)
    return through(visit, opened, form.next)


async def enter_code(visit: Visit) -> web.Response:
    """The second factor."""
    form = visit.take(Code)
    try:
        opened = await sign_in.second_factor(
            visit.services.door, pending(visit), form.code, visit.caller, visit.now_ms)
    except RelayError as error:
        if error.code == "session_ended":
            raise
        return _form(visit, form.next, error)
    return through(visit, opened, form.next)


async def enter_passkey(visit: Visit) -> web.Response:
    """Signs in by a passkey; it is two factors by itself."""
    form = visit.take(PasskeyForm)
    try:
        opened = await passkey.sign_in_with(
            visit.services.door, parsed(form.answer), visit.caller, visit.now_ms)
    except RelayError as error:
        return _form(visit, form.next, error)
    return through(visit, opened, form.next)


async def show_link(visit: Visit) -> web.Response:
    """The page of a link that the shell printed."""
    return page(visit, "auth/token.html", about="link", path="/sign-in/link", error=None,
                token=visit.ask(TokenQuery).token)


async def enter_link(visit: Visit) -> web.Response:
    """Signs in by that link."""
    try:
        opened = await sign_in.by_link(
            visit.services.door, visit.take(MailedToken).token, visit.caller, visit.now_ms)
    except RelayError as error:
        return again(visit, "auth/token.html", error, about="link", path="/sign-in/link",
                     token="")
    return through(visit, opened, FIRST_PAGE)


async def leave(visit: Visit) -> web.Response:
    """Signs out."""
    if visit.who is not None:
        await sign_in.sign_out(visit.db, visit.who.session)
    response = redirect("/sign-in")
    cookie.drop(response, cookie.SESSION, visit.secure)
    return response


async def show_proof(visit: Visit) -> web.Response:
    """Asks once more who is there."""
    return page(visit, "auth/prove.html", back=local(visit.ask(Back).next), error=None, fault=None)


async def prove(visit: Visit) -> web.Response:
    """The proof, by password."""
    form = visit.take(Proof)
    try:
        opened = await sign_in.prove(
            visit.services.door, visit.me.session, form.password, visit.caller, visit.now_ms)
    except RelayError as error:
        return again(visit, "auth/prove.html", error, back=local(form.next))
    return entered(visit, opened, form.next)


async def prove_passkey(visit: Visit) -> web.Response:
    """The proof, by passkey."""
    form = visit.take(PasskeyForm)
    try:
        opened = await passkey.prove(
            visit.services.door, visit.me.session, parsed(form.answer), visit.now_ms)
    except RelayError as error:
        return again(visit, "auth/prove.html", error, back=local(form.next))
    return entered(visit, opened, form.next)


# the same for programs


async def give_session(visit: Visit) -> web.Response:
    """A session."""
    order = visit.take(SignInOrder)
    opened = await sign_in.sign_in(
        visit.services.door, order.login, order.password, visit.caller, visit.now_ms)
    return reply(told(opened), 201)


async def give_opened(visit: Visit) -> web.Response:
    """The session, opened by its second factor."""
    opened = await sign_in.second_factor(
        visit.services.door, pending(visit), visit.take(CodeOrder).code, visit.caller,
        visit.now_ms)
    return reply(told(opened), 201)


async def give_passkey_options(visit: Visit) -> web.Response:
    """What a browser needs to sign in, or to prove, by a passkey."""
    return reply(PasskeyOptions(
        await passkey.options_to_sign_in(visit.services.door, visit.now_ms)))


async def give_by_passkey(visit: Visit) -> web.Response:
    """A session, by a passkey."""
    opened = await passkey.sign_in_with(
        visit.services.door, visit.take(PasskeyAnswer).answer, visit.caller, visit.now_ms)
    return reply(told(opened), 201)


async def give_proved(visit: Visit) -> web.Response:
    """The session under a new token, with a fresh proof."""
    opened = await sign_in.prove(
        visit.services.door, visit.me.session, visit.take(ProofOrder).password, visit.caller,
        visit.now_ms)
    return reply(told(opened), 201)


async def give_left(visit: Visit) -> web.Response:
    """The session is ended."""
    await sign_in.sign_out(visit.db, visit.me.session)
    return nothing()


ROUTES: Final = (
    Route("GET", "/sign-in", show, PUBLIC, "The form to sign in.", asks=Back),
    Route("POST", "/sign-in", enter, PUBLIC, "Sign in.", takes=SignIn),
    Route("POST", "/sign-in/code", enter_code, PUBLIC, "The second factor.", takes=Code),
    Route("POST", "/sign-in/passkey", enter_passkey, PUBLIC, "Sign in by a passkey.",
          takes=PasskeyForm),
    Route("GET", "/sign-in/link", show_link, PUBLIC, "A link of the shell.", asks=TokenQuery),
    Route("POST", "/sign-in/link", enter_link, PUBLIC, "Sign in by it.", takes=MailedToken),
    Route("POST", "/sign-out", leave, PUBLIC, "Sign out."),
    Route("GET", "/prove", show_proof, HOLDER, "Confirm who you are again.", asks=Back,
          closing=True),
    Route("POST", "/prove", prove, HOLDER, "Prove it by the password.", takes=Proof, closing=True),
    Route("POST", "/prove/passkey", prove_passkey, HOLDER, "Prove it by a passkey.",
          takes=PasskeyForm, closing=True),
    Route("POST", "/api/v1/sessions", give_session, PUBLIC,
          "Sign in. Where `stage` is `factor`, a code is still to come.", takes=SignInOrder,
          gives=Token, status=201, errors=(*BUSY, "wrong_credentials")),
    Route("POST", "/api/v1/sessions/code", give_opened, PUBLIC,
          "Open a session of stage `factor` by a code; the answer has its new token.",
          takes=CodeOrder, gives=Token, status=201,
          errors=(*BUSY, "session_ended", "wrong_code")),
    Route("POST", "/api/v1/sessions/passkey-options", give_passkey_options, PUBLIC,
          "What a browser needs to use a passkey of this site.", gives=PasskeyOptions),
    Route("POST", "/api/v1/sessions/passkey", give_by_passkey, PUBLIC, "Sign in by a passkey.",
          takes=PasskeyAnswer, gives=Token, status=201, errors=("passkey_refused",)),
    Route("DELETE", "/api/v1/sessions/current", give_left, HOLDER, "Sign out.", status=204,
          closing=True),
    Route("POST", "/api/v1/proof", give_proved, HOLDER,
          "Confirm who you are again: sensitive steps are open for 15 minutes.",
          takes=ProofOrder, gives=Token, status=201, errors=(*BUSY, "wrong_credentials"),
          closing=True),
)
