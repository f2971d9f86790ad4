"""Invoices, for who minds the money: all of them, a month's closing, taking one back.

Law: the list names nobody; opening one is a look at what is somebody's, and is in the log.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.invoice import Invoice, ListedInvoice, listed, seller, sheet_pdf, whole
from relayd.console.invoice_sheet import invoice_sheet
from relayd.console.page import page, redirect, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.control import closing, invoice
from relayd.core.errors import RelayError
from relayd.core.invoice import INVOICE_MOVES, InvoiceKind, month, month_text
from relayd.core.timestamp import rfc3339
from relayd.ops import pdf
from relayd.store.invoice import InvoiceFilter

MONEY: Final = operators("finance")
PAGE: Final = 200
MONTHS: Final = 12
_EXAMPLE: Final = {"invoice": "inv_01KDVBXH00000000000000000Z"}


class InvoiceSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which documents: of this account, kind, month; older than this one."""

    account: str | None = None
    kind: InvoiceKind | None = None
    month: str | None = None
    before: str | None = None


class OperatedInvoice(ListedInvoice, frozen=True):
    """A document in the list, and whose it is."""

    account: str


class CloseMonth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The month, such as 2026-10."""

    month: str = ""


class Closed(msgspec.Struct, frozen=True):
    """What was issued: invoices for accounts, receipts for payments."""

    month: str
    accounts: int
    invoices: int
    receipts: int


class ClosedMonth(msgspec.Struct, frozen=True):
    """A month that was closed, and all that was issued for it. `closed_at` null: it was begun, and
    broke off or is under way."""

    month: str
    closed_at: str | None
    invoices: int
    receipts: int


class VoidInvoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why one is taken back: words for the audit log."""

    reason: str = ""

    def __repr__(self) -> str:
        return "VoidInvoice"


async def _found(visit: Visit) -> list[OperatedInvoice]:
    asked = visit.ask(InvoiceSearch)
    start_ms = month(asked.month).start_ms if asked.month else None
    wanted = InvoiceFilter(asked.account, asked.kind, start_ms, asked.before)
    return [OperatedInvoice(**msgspec.structs.asdict(listed(each)), account=each.account)
            for each in await invoice.listing(visit.db, wanted, PAGE)]


async def _close(visit: Visit) -> Closed:
    lacking = visit.services.config().operator.lacking()
    if lacking:
        raise RelayError("invalid_value", param="operator")
    made = await closing.close(
        visit.db, visit.actor, seller(visit), visit.take(CloseMonth).month.strip(), visit.now_ms)
    return Closed(made.month, made.accounts, made.invoices, made.receipts)


async def _months(visit: Visit) -> list[ClosedMonth]:
    return [ClosedMonth(
        month_text(each.start_ms), rfc3339(each.closed_ms) if each.closed_ms else None,
        each.invoices, each.receipts) for each in await closing.months(visit.db, MONTHS)]


async def show_all(visit: Visit) -> web.Response:
    """All documents, numbers that are missing, months that were closed, and the form to close
    one."""
    return page(visit, "money/operate_invoices.html", invoices=await _found(visit), more=PAGE,
                gaps=await invoice.gaps(visit.db), asked=visit.ask(InvoiceSearch),
                months=await _months(visit),
                hours=visit.services.config().invoices.close_hours)


async def show_one(visit: Visit) -> web.Response:
    """One document as it is printed, and the form to take it back."""
    found = await invoice.look(visit.db, visit.actor, visit.name("invoice"), visit.now_ms)
    sheet = invoice_sheet(visit, found)
    voids = found.kind != "counter" and (found.state, "void") in INVOICE_MOVES
    return page(visit, "money/sheet.html", sheet=sheet, back="/operate/invoices",
                pdf=f"/operate/invoices/{found.id}/pdf" if await pdf.can_print(sheet) else None,
                void=f"/operate/invoices/{found.id}/void" if voids else None)


async def give_pdf(visit: Visit) -> web.Response:
    """One document as PDF."""
    found = await invoice.look(visit.db, visit.actor, visit.name("invoice"), visit.now_ms)
    return await sheet_pdf(invoice_sheet(visit, found), found.number)


async def close(visit: Visit) -> web.Response:
    """Issues what is missing for a month."""
    made = await _close(visit)
    return redirect(f"/operate/invoices?month={made.month}")


async def void(visit: Visit) -> web.Response:
    """Takes one back."""
    made = await invoice.void(visit.db, visit.actor, visit.name("invoice"),
                              visit.take(VoidInvoice).reason, seller(visit).terms, visit.now_ms)
    return redirect(f"/operate/invoices/{made.id}")


async def give_all(visit: Visit) -> web.Response:
    """All documents, the newest first."""
    return reply(await _found(visit))


async def give_one(visit: Visit) -> web.Response:
    """One document; the look is in the log."""
    return reply(whole(await invoice.look(
        visit.db, visit.actor, visit.name("invoice"), visit.now_ms)))


async def give_months(visit: Visit) -> web.Response:
    """Months that were closed."""
    return reply(await _months(visit))


async def give_closed(visit: Visit) -> web.Response:
    """A month, closed."""
    return reply(await _close(visit))


async def give_void(visit: Visit) -> web.Response:
    """The counter-invoice."""
    return reply(whole(await invoice.void(
        visit.db, visit.actor, visit.name("invoice"), visit.take(VoidInvoice).reason,
        seller(visit).terms, visit.now_ms)), 201)


ROUTES: Final = (
    Route("GET", "/operate/invoices", show_all, MONEY, "All invoices and receipts",
          asks=InvoiceSearch),
    Route("GET", "/operate/invoices/{invoice}", show_one, MONEY, "An invoice", example=_EXAMPLE),
    Route("GET", "/operate/invoices/{invoice}/pdf", give_pdf, MONEY, "An invoice as PDF",
          example=_EXAMPLE),
    Route("POST", "/operate/months", close, MONEY, "Close a month", takes=CloseMonth, proof=True),
    Route("POST", "/operate/invoices/{invoice}/void", void, MONEY, "Take an invoice back",
          takes=VoidInvoice, proof=True, example=_EXAMPLE),
    Route("GET", "/api/v1/operate/invoices", give_all, MONEY, "All invoices and receipts",
          asks=InvoiceSearch, gives=list[OperatedInvoice], errors=("invalid_time",)),
    Route("GET", "/api/v1/operate/invoices/{invoice}", give_one, MONEY, "Anybody's invoice",
          gives=Invoice, errors=("invoice_not_found",), example=_EXAMPLE),
    Route("GET", "/api/v1/operate/months", give_months, MONEY, "Months that were closed",
          gives=list[ClosedMonth]),
    Route("POST", "/api/v1/operate/months", give_closed, MONEY, "Close a month",
          takes=CloseMonth, gives=Closed, proof=True,
          errors=("invalid_time", "month_open", "invalid_value")),
    Route("POST", "/api/v1/operate/invoices/{invoice}/void", give_void, MONEY,
          "Take an invoice back", takes=VoidInvoice, gives=Invoice, status=201, proof=True,
          errors=("invoice_not_found", "invoice_state", "reason_missing", "invalid_value",
                  "own_account"),
          example=_EXAMPLE),
)
