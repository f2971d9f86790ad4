"""Credit, for who minds the money: grants, codes and credit lines; given with a reason.

Law: whatever gives or takes money wants a proof of who asks, and is in the audit log. A code's
text is in the answer that makes it, and in no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from relayd.console.grant import Grant
from relayd.console.page import page, redirect, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.console.wallet import signed_decimal
from relayd.control import grant, wallet
from relayd.control.grant import Credit
from relayd.core.errors import RelayError
from relayd.core.money import decimal
from relayd.core.timestamp import parse_future

SEE: Final = operators("finance", "owner")
MONEY: Final = operators("finance")
PAGE: Final = 100
_CODE: Final = {"code": "code_01KDVBXH00000000000000000Z"}
_GRANT: Final = {"grant": "grant_01KDVBXH00000000000000000Z"}


class OperatedGrant(Grant, frozen=True):
    """Credit, and whose it is."""

    account: str


class Code(msgspec.Struct, frozen=True):
    """A code without its text. `expires_at`: until when it can be redeemed; `grant_days`: how long
    its credit then lasts."""

    id: str
    currency: str
    amount: str
    uses_left: int
    created_at: str
    expires_at: str | None
    grant_days: int | None


class NewCode(msgspec.Struct, frozen=True):
    """A code that was just made, and its text, which is told once."""

    code: Code
    text: str

    def __repr__(self) -> str:
        return f"NewCode({self.code.id})"


class CreditLine(msgspec.Struct, frozen=True):
    """How far below nothing an account may go, and what it has."""

    account: str
    currency: str
    left: str
    credit: str


class GrantWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credit to give: to an account's id, an amount as a decimal text; `until` is a date, a time
    or a span. The reason is for the audit log."""

    account: str = ""
    amount: str = ""
    currency: str = ""
    until: str | None = None
    reason: str = ""

    def __repr__(self) -> str:
        return "GrantWish"


class CodeWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code to make, for so many accounts."""

    amount: str = ""
    currency: str = ""
    uses: int = 1
    until: str | None = None
    days: int | None = None


class LineWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far an account may go below nothing; 0: not at all."""

    account: str = ""
    amount: str = ""
    currency: str = ""


class Ending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why credit is taken back."""

    reason: str

    def __repr__(self) -> str:
        return "Ending"


class Input(NamedTuple):
    """A field of a form: `text` names its label, `hint` what stands below it."""

    name: str
    text: str
    hint: str
    value: object
    required: bool = True


async def _grants(visit: Visit) -> list[OperatedGrant]:
    return [msgspec.convert({**grant.view(each), "account": each.account}, OperatedGrant)
            for each in await grant.latest(visit.db, PAGE)]


async def _codes(visit: Visit) -> list[Code]:
    return [msgspec.convert(grant.code_view(each), Code) for each in await grant.codes(visit.db)]


async def _lines(visit: Visit) -> list[CreditLine]:
    return [CreditLine(each.account, each.currency, signed_decimal(each.nano),
                       decimal(each.credit_nano, 2)) for each in await wallet.credited(visit.db)]


def _credit(visit: Visit, wish: GrantWish | CodeWish) -> Credit:
    until = None if wish.until is None else parse_future(wish.until, visit.now_ms, "until")
    return Credit(grant.read_amount(wish.amount.strip(), wish.currency), wish.currency, until)


async def _give(visit: Visit) -> OperatedGrant:
    wish = visit.take(GrantWish)
    made = await grant.give_to(visit.db, wish.account.strip(), _credit(visit, wish), wish.reason,
                               visit.now_ms, visit.actor)
    return msgspec.convert({**grant.view(made), "account": made.account}, OperatedGrant)


async def _make(visit: Visit) -> NewCode:
    wish = visit.take(CodeWish)
    made = await grant.make_code(
        visit.db, _credit(visit, wish), wish.uses, wish.days, visit.now_ms, visit.actor)
    return NewCode(msgspec.convert(grant.code_view(made.code), Code), made.text)


async def _line(visit: Visit) -> None:
    wish = visit.take(LineWish)
    await wallet.set_credit(visit.db, wish.account.strip(), wish.currency, wish.amount.strip(),
                            visit.now_ms, visit.actor)


def _form(visit: Visit, kind: str, inputs: Sequence[Input], error: RelayError | None
          ) -> web.Response:
    return page(visit, "money/operate_credit_form.html", 200 if error is None else error.status,
                kind=kind, inputs=inputs, error=error, fault=error and error.param)


def _currency(visit: Visit, given: str) -> Input:
    return Input("currency", "money.currency", "alerts.currency_hint",
                 given or visit.services.payments().config.currency)


def _grant_form(visit: Visit, form: GrantWish, error: RelayError | None = None) -> web.Response:
    return _form(visit, "grants", (
        Input("account", "money.account", "credits.account_hint", form.account),
        Input("amount", "money.amount_only", "credits.amount_hint", form.amount),
        _currency(visit, form.currency),
        Input("until", "grants.until", "credits.until_hint", form.until, required=False),
        Input("reason", "frame.reason", "frame.reason_hint", form.reason)), error)


def _code_form(visit: Visit, form: CodeWish, error: RelayError | None = None) -> web.Response:
    return _form(visit, "codes", (
        Input("amount", "money.amount_only", "credits.amount_hint", form.amount),
        _currency(visit, form.currency),
        Input("uses", "credits.uses", "credits.uses_hint", form.uses),
        Input("until", "credits.redeem_until", "credits.until_hint", form.until, required=False),
        Input("days", "credits.days", "credits.days_hint", form.days, required=False)), error)


def _line_form(visit: Visit, form: LineWish, error: RelayError | None = None) -> web.Response:
    return _form(visit, "lines", (
        Input("account", "money.account", "credits.account_hint", form.account),
        Input("amount", "wallet.credit", "credits.line_hint", form.amount),
        _currency(visit, form.currency)), error)


async def show(visit: Visit) -> web.Response:
    """Grants, codes and lines."""
    return page(visit, "money/operate_credit.html", grants=await _grants(visit),
                codes=await _codes(visit), lines=await _lines(visit),
                may="finance" in visit.actor.roles)


async def show_grant(visit: Visit) -> web.Response:
    """The form that gives credit."""
    return _grant_form(visit, GrantWish())


async def show_code(visit: Visit) -> web.Response:
    """The form that makes a code."""
    return _code_form(visit, CodeWish())


async def show_line(visit: Visit) -> web.Response:
    """The form of a credit line."""
    return _line_form(visit, LineWish())


async def give(visit: Visit) -> web.Response:
    """Gives credit, or shows the form again."""
    try:
        await _give(visit)
    except RelayError as error:
        return _grant_form(visit, visit.take(GrantWish), error)
    return redirect("/operate/credit")


async def make(visit: Visit) -> web.Response:
    """Makes a code and shows its text once, or shows the form again."""
    try:
        made = await _make(visit)
    except RelayError as error:
        return _code_form(visit, visit.take(CodeWish), error)
    return page(visit, "money/operate_code.html", 201, made=made)


async def line(visit: Visit) -> web.Response:
    """Sets a credit line, or shows the form again."""
    try:
        await _line(visit)
    except RelayError as error:
        return _line_form(visit, visit.take(LineWish), error)
    return redirect("/operate/credit")


async def _end_grant(visit: Visit) -> None:
    await grant.end_one(visit.db, visit.name("grant"), visit.take(Ending).reason, visit.now_ms,
                        visit.actor)


async def end_grant(visit: Visit) -> web.Response:
    """Takes back what is left of a grant."""
    await _end_grant(visit)
    return redirect("/operate/credit")


async def end_code(visit: Visit) -> web.Response:
    """Nobody can redeem it any more."""
    await grant.end_code(visit.db, visit.name("code"), visit.now_ms, visit.actor)
    return redirect("/operate/credit")


async def give_grants(visit: Visit) -> web.Response:
    """The newest grants."""
    return reply(await _grants(visit))


async def give_codes(visit: Visit) -> web.Response:
    """All codes."""
    return reply(await _codes(visit))


async def give_lines(visit: Visit) -> web.Response:
    """All credit lines."""
    return reply(await _lines(visit))


async def give_new_grant(visit: Visit) -> web.Response:
    """Gives credit."""
    return reply(await _give(visit), 201)


async def give_new_code(visit: Visit) -> web.Response:
    """Makes a code; its text is in this answer alone."""
    return reply(await _make(visit), 201)


async def give_line(visit: Visit) -> web.Response:
    """Sets a credit line; all of them."""
    await _line(visit)
    return reply(await _lines(visit))


async def give_grant_end(visit: Visit) -> web.Response:
    """Takes back what is left of a grant; the newest grants."""
    await _end_grant(visit)
    return reply(await _grants(visit))


async def give_code_end(visit: Visit) -> web.Response:
    """Ends a code; all of them."""
    await grant.end_code(visit.db, visit.name("code"), visit.now_ms, visit.actor)
    return reply(await _codes(visit))


_GIVING: Final = (
    "account_not_found", "invalid_value", "own_account", "invalid_time", "reason_missing")
_API: Final = "/api/v1/operate/credit"
ROUTES: Final = (
    Route("GET", "/operate/credit", show, SEE, "Credit, codes and credit lines"),
    Route("GET", "/operate/credit/grants", show_grant, MONEY, "Give credit"),
    Route("POST", "/operate/credit/grants", give, MONEY, "Give credit", takes=GrantWish,
          proof=True),
    Route("POST", "/operate/credit/grants/{grant}/end", end_grant, MONEY, "Take credit back",
          takes=Ending, proof=True, example=_GRANT),
    Route("GET", "/operate/credit/codes", show_code, MONEY, "Make a code"),
    Route("POST", "/operate/credit/codes", make, MONEY, "Make a code", takes=CodeWish,
          proof=True),
    Route("POST", "/operate/credit/codes/{code}/end", end_code, MONEY, "End a code",
          example=_CODE),
    Route("GET", "/operate/credit/lines", show_line, MONEY, "Set a credit line"),
    Route("POST", "/operate/credit/lines", line, MONEY, "Set a credit line", takes=LineWish,
          proof=True),
    Route("GET", f"{_API}/grants", give_grants, SEE, "Credit given", gives=list[OperatedGrant]),
    Route("POST", f"{_API}/grants", give_new_grant, MONEY, "Give credit", takes=GrantWish,
          gives=OperatedGrant, status=201, proof=True, errors=_GIVING),
    Route("POST", f"{_API}/grants/{{grant}}/end", give_grant_end, MONEY, "Take credit back",
          takes=Ending, gives=list[OperatedGrant], proof=True,
          errors=("grant_not_found", "reason_missing", "invalid_value", "own_account"),
          example=_GRANT),
    Route("GET", f"{_API}/codes", give_codes, SEE, "Codes to redeem", gives=list[Code]),
    Route("POST", f"{_API}/codes", give_new_code, MONEY, "Make a code", takes=CodeWish,
          gives=NewCode, status=201, proof=True, errors=("invalid_value", "invalid_time")),
    Route("POST", f"{_API}/codes/{{code}}/end", give_code_end, MONEY, "End a code",
          gives=list[Code], errors=("code_not_found",), example=_CODE),
    Route("GET", f"{_API}/lines", give_lines, SEE, "Credit lines", gives=list[CreditLine]),
    Route("PUT", f"{_API}/lines", give_line, MONEY, "Set a credit line", takes=LineWish,
          gives=list[CreditLine], proof=True, errors=_GIVING[:3]),
)
