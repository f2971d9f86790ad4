"""The desk of who issues fapiao: the queue, what goes to the issuer, what comes back, red letters.

Law: opening one is a look at what is somebody's, and is in the log. A file is taken in when every
field of it is what was applied for.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec
from aiohttp import web

from relayd.console.export import download
from relayd.console.fapiao import Fapiao, ListedFapiao, listed, whole
from relayd.console.invoice import seller
from relayd.console.page import options, page, redirect, reply
from relayd.console.route import Files, Route, operators
from relayd.console.visit import Visit
from relayd.control import fapiao, fapiao_file
from relayd.control.fapiao_file import Item
from relayd.core.currency import parse_minor
from relayd.core.errors import RelayError
from relayd.core.fapiao import (
    CURRENCY, FAPIAO_STATES, FILE_BYTES_MAX, FORMATS, REASONS, RED_REASONS, STANDING,
    FapiaoState,
)
from relayd.core.fapiao import Fapiao as CoreFapiao
from relayd.store.fapiao import FapiaoFilter

MONEY: Final = operators("finance")
PAGE: Final = 200
MEBIBYTE: Final = 1024 * 1024
ACCEPTED: Final = ".xml,.ofd,.pdf"
"""What a browser offers first; what a file is, its content says."""
_EXAMPLE: Final = {"fapiao": "fap_01KDVBXH00000000000000000Z"}


class FapiaoSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which ones: in this state, older than this one."""

    state: FapiaoState | None = None
    before: str | None = None


class OperatedFapiao(ListedFapiao, frozen=True):
    """One in the queue, and whose it is."""

    account: str


class Reject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: `title`, `uscc`, `kind`, `order`, `duplicate` or `expired`. A red letter needs none."""

    reason: str = ""


class IssuedFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The issued fapiao: one file of it, or one in each of its formats."""

    files: list[bytes] = []

    def __repr__(self) -> str:
        return "IssuedFiles"


class TakeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The issued file in base64."""

    file: str = ""

    def __repr__(self) -> str:
        return "TakeIn"


class Reverse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall go back, as a decimal text, and why: 01 to 04, as the tax platform has them."""

    amount: str = ""
    reason: str = ""


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number, 20 digits, under which the platform confirmed a red letter."""

    confirmation: str = ""


async def _found(visit: Visit) -> list[OperatedFapiao]:
    asked = visit.ask(FapiaoSearch)
    wanted = FapiaoFilter(states=(asked.state,) if asked.state else (), before=asked.before)
    return [OperatedFapiao(**msgspec.structs.asdict(listed(each)), account=each.account)
            for each in await fapiao.listing(visit.db, wanted, PAGE)]


async def _take(visit: Visit) -> CoreFapiao:
    return await fapiao.take(visit.db, visit.actor, visit.name("fapiao"), visit.now_ms)


async def _reject(visit: Visit) -> CoreFapiao:
    return await fapiao.reject(visit.db, visit.actor, visit.name("fapiao"),
                               visit.take(Reject).reason, seller(visit), visit.now_ms)


async def _send(visit: Visit) -> CoreFapiao:
    return await fapiao_file.send(
        visit.db, visit.actor, visit.services.issuer(), visit.name("fapiao"), seller(visit),
        visit.now_ms)


async def _take_in(visit: Visit, content: bytes) -> CoreFapiao:
    return await fapiao_file.take_in(
        visit.db, visit.actor, visit.name("fapiao"), content, seller(visit), visit.now_ms)


async def _reverse(visit: Visit) -> CoreFapiao:
    asked = visit.take(Reverse)
    amount = parse_minor(asked.amount.strip(), CURRENCY)
    if amount is None:
        raise RelayError("fapiao_amount", param="amount")
    return await fapiao.reverse(visit.db, visit.actor, visit.name("fapiao"), amount,
                                asked.reason, visit.now_ms)


async def _confirm(visit: Visit) -> CoreFapiao:
    return await fapiao.confirm(visit.db, visit.actor, visit.name("fapiao"),
                                visit.take(Confirm).confirmation, visit.now_ms)


def _there(made: CoreFapiao) -> web.Response:
    return redirect(f"/operate/fapiao/{made.id}")


async def show_all(visit: Visit) -> web.Response:
    """The queue, and orders whose fapiao have more than they are worth."""
    return page(visit, "money/operate_fapiao.html", queue=await _found(visit), more=PAGE,
                asked=visit.ask(FapiaoSearch),
                states=options(visit, "fapiao.state_", FAPIAO_STATES),
                too_much=[(order, account, fapiao.amount_text(minor))
                          for order, account, minor in await fapiao.too_much(visit.db)])


async def show_one(visit: Visit) -> web.Response:
    """One, and what can be done with it."""
    return await _one_page(visit)


async def _one_page(visit: Visit, error: RelayError | None = None) -> web.Response:
    found = await fapiao.look(visit.db, visit.actor, visit.name("fapiao"), visit.now_ms)
    reasons = [(each, visit.t(f"fapiao.reason_{each}")) for each in REASONS]
    red = [(each, visit.t(f"fapiao.red_{each}")) for each in RED_REASONS]
    return page(visit, "money/operate_fapiao_one.html", 200 if error is None else error.status,
                fapiao=await whole(visit, found), account=found.account, reasons=reasons,
                red_reasons=red, stands=found.state in STANDING, error=error,
                fault=error and error.param, accept=ACCEPTED, most=FILE_BYTES_MAX // MEBIBYTE)


async def take(visit: Visit) -> web.Response:
    """Takes an application up."""
    return _there(await _take(visit))


async def reject(visit: Visit) -> web.Response:
    """Rejects one."""
    return _there(await _reject(visit))


async def send(visit: Visit) -> web.Response:
    """Hands one to its issuer."""
    return _there(await _send(visit))


async def take_in(visit: Visit) -> web.Response:
    """Takes in files of an issued one, or shows the form again with what was wrong with them."""
    files = visit.take(IssuedFiles).files
    try:
        if len(files) > len(FORMATS):
            raise RelayError("fapiao_file", param="count")
        return _there(await fapiao_file.take_in_all(
            visit.db, visit.actor, visit.name("fapiao"), files, seller(visit), visit.now_ms))
    except RelayError as error:
        if error.code not in _IN_FORM:
            raise
        return await _one_page(visit, error)


async def reverse(visit: Visit) -> web.Response:
    """Asks for a red letter."""
    return _there(await _reverse(visit))


async def confirm(visit: Visit) -> web.Response:
    """Notes the confirmation of a red letter."""
    return _there(await _confirm(visit))


async def export(visit: Visit) -> web.Response:
    """What waits for the bookkeeper, as CSV."""
    config = visit.services.config().invoices
    rows = await fapiao_file.export(
        visit.db, visit.actor, Item(config.item, config.category), visit.now_ms)
    return download("fapiao.csv", fapiao_file.as_csv(rows), "text/csv")


async def give_all(visit: Visit) -> web.Response:
    """The queue."""
    return reply(await _found(visit))


async def give_one(visit: Visit) -> web.Response:
    """One; the look is in the log."""
    return reply(await whole(visit, await fapiao.look(
        visit.db, visit.actor, visit.name("fapiao"), visit.now_ms)))


async def give_taken(visit: Visit) -> web.Response:
    """An application, taken up."""
    return reply(await whole(visit, await _take(visit)))


async def give_rejected(visit: Visit) -> web.Response:
    """One, rejected."""
    return reply(await whole(visit, await _reject(visit)))


async def give_sent(visit: Visit) -> web.Response:
    """One, at its issuer."""
    return reply(await whole(visit, await _send(visit)))


async def give_taken_in(visit: Visit) -> web.Response:
    """One, with its file."""
    try:
        content = base64.b64decode(visit.take(TakeIn).file, validate=True)
    except (binascii.Error, ValueError):
        raise RelayError("fapiao_file", param="file") from None
    return reply(await whole(visit, await _take_in(visit, content)))


async def give_reversed(visit: Visit) -> web.Response:
    """The red letter."""
    return reply(await whole(visit, await _reverse(visit)), 201)


async def give_confirmed(visit: Visit) -> web.Response:
    """The red letter, confirmed."""
    return reply(await whole(visit, await _confirm(visit)))


_AT: Final = "/operate/fapiao/{fapiao}"
_IN_FORM: Final = frozenset({"fapiao_file", "fapiao_mismatch", "fapiao_state", "pdf_missing"})
_GONE: Final = ("fapiao_not_found", "fapiao_state")
ROUTES: Final = (
    Route("GET", "/operate/fapiao", show_all, MONEY, "The queue of fapiao", asks=FapiaoSearch),
    Route("POST", "/operate/fapiao/export", export, MONEY, "What waits for the bookkeeper"),
    Route("GET", _AT, show_one, MONEY, "A fapiao", example=_EXAMPLE),
    Route("POST", _AT + "/take", take, MONEY, "Take an application up", example=_EXAMPLE),
    Route("POST", _AT + "/reject", reject, MONEY, "Reject an application", takes=Reject,
          example=_EXAMPLE),
    Route("POST", _AT + "/send", send, MONEY, "Hand one to its issuer", example=_EXAMPLE),
    Route("POST", _AT + "/import", take_in, MONEY, "Take in issued files", takes=IssuedFiles,
          files=Files(len(FORMATS), FILE_BYTES_MAX), example=_EXAMPLE),
    Route("POST", _AT + "/reverse", reverse, MONEY, "Ask for a red letter", takes=Reverse,
          proof=True, example=_EXAMPLE),
    Route("POST", _AT + "/confirm", confirm, MONEY, "A red letter was confirmed", takes=Confirm,
          example=_EXAMPLE),
    Route("GET", "/api/v1/operate/fapiao", give_all, MONEY, "The queue of fapiao",
          asks=FapiaoSearch, gives=list[OperatedFapiao]),
    Route("GET", "/api/v1" + _AT, give_one, MONEY, "Anybody's fapiao", gives=Fapiao,
          errors=("fapiao_not_found",), example=_EXAMPLE),
    Route("POST", "/api/v1" + _AT + "/take", give_taken, MONEY, "Take an application up",
          gives=Fapiao, errors=_GONE, example=_EXAMPLE),
    Route("POST", "/api/v1" + _AT + "/reject", give_rejected, MONEY, "Reject an application",
          takes=Reject, gives=Fapiao, errors=(*_GONE, "invalid_value"), example=_EXAMPLE),
    Route("POST", "/api/v1" + _AT + "/send", give_sent, MONEY, "Hand one to its issuer",
          gives=Fapiao, errors=(*_GONE, "fapiao_mismatch", "partner_failed"), example=_EXAMPLE),
    Route("POST", "/api/v1" + _AT + "/file", give_taken_in, MONEY, "Take in an issued file",
          takes=TakeIn, gives=Fapiao, files=Files(1, FILE_BYTES_MAX),
          errors=(*_GONE, "fapiao_file", "fapiao_mismatch", "pdf_missing"), example=_EXAMPLE),
    Route("POST", "/api/v1" + _AT + "/red", give_reversed, MONEY, "Ask for a red letter",
          takes=Reverse, gives=Fapiao, status=201, proof=True,
          errors=(*_GONE, "fapiao_amount", "invalid_value"), example=_EXAMPLE),
    Route("POST", "/api/v1" + _AT + "/confirm", give_confirmed, MONEY,
          "A red letter was confirmed", takes=Confirm, gives=Fapiao,
          errors=(*_GONE, "invalid_value"), example=_EXAMPLE),
)
