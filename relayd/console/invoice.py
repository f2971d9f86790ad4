"""One's own invoices, receipts and statements: pages, to print, as PDF, for programs.

Law: they are looked up under the account that is signed in. Where PDF is not set up, or the font
lacks a character, there is a page to print instead.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.export import attachment
from relayd.console.invoice_sheet import exact, invoice_sheet, lines_table
from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import invoice
from relayd.control.invoice import Seller
from relayd.core.currency import minor_decimal
from relayd.core.errors import RelayError
from relayd.core.invoice import Invoice as CoreInvoice
from relayd.core.invoice import InvoiceKind, InvoiceState, LineKind, month, month_text
from relayd.core.sheet import Sheet
from relayd.core.timestamp import rfc3339
from relayd.ops import pdf
from relayd.store.invoice import InvoiceFilter

PAGE: Final = 100
MONTHS: Final = 13
_EXAMPLE: Final = {"invoice": "inv_01KDVBXH00000000000000000Z"}
_ORDER: Final = {"order": "ord_01KDVBXH00000000000000000Z"}


class InvoiceLine(msgspec.Struct, frozen=True):
    """One line; `amount` is exact. `reference`: a model, a transfer, an order, a refund."""

    kind: LineKind
    reference: str
    calls: int
    input_tokens: int
    output_tokens: int
    amount: str


class ListedInvoice(msgspec.Struct, frozen=True):
    """A document. Amounts are decimal texts in whole minor units."""

    id: str
    number: str
    kind: InvoiceKind
    state: InvoiceState
    currency: str
    month: str
    issued_at: str
    net: str
    tax: str
    total: str
    reverses: str | None


class Invoice(ListedInvoice, frozen=True):
    """The whole document; `exact` is the sum before it was rounded."""

    exact: str
    seller: dict[str, str]
    buyer: dict[str, str]
    lines: list[InvoiceLine]


class InvoiceQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Documents older than this one."""

    before: str | None = None


class StatementQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The month, such as 2026-10; none: this one."""

    month: str | None = None


class Statement(msgspec.Struct, frozen=True):
    """What a month came to in one currency so far."""

    month: str
    currency: str
    total: str
    lines: list[InvoiceLine]


def seller(visit: Visit) -> Seller:
    """Who issues, as the configuration has it now."""
    return invoice.seller_of(visit.services.config())


def listed(found: CoreInvoice) -> ListedInvoice:
    """A document in a list."""
    net, tax, total = (minor_decimal(each, found.places) for each in found.taxed)
    return ListedInvoice(
        found.id, found.number, found.kind, found.state, found.currency,
        month_text(found.period.start_ms), rfc3339(found.issued_at_ms), net, tax, total,
        found.reverses)


def whole(found: CoreInvoice) -> Invoice:
    """A document with its lines."""
    return Invoice(
        **msgspec.structs.asdict(listed(found)), exact=exact(found.amount_nano),
        seller=dict(found.seller), buyer=dict(found.buyer),
        lines=[InvoiceLine(line.kind, line.reference, line.calls, line.input_tokens,
                           line.output_tokens, exact(line.amount_nano)) for line in found.lines])


async def _own(visit: Visit) -> CoreInvoice:
    return await invoice.own(visit.db, visit.account, visit.name("invoice"))


async def _listed(visit: Visit) -> list[ListedInvoice]:
    wanted = InvoiceFilter(visit.account, before=visit.ask(InvoiceQuery).before)
    return [listed(each) for each in await invoice.listing(visit.db, wanted, PAGE)]


async def _statements(visit: Visit) -> list[Statement]:
    period = month(visit.ask(StatementQuery).month or month_text(visit.now_ms))
    found = await invoice.statement(visit.db, visit.account, period)
    return [Statement(
        month_text(period.start_ms), currency, exact(sum(line.amount_nano for line in lines)),
        [InvoiceLine(line.kind, line.reference, line.calls, line.input_tokens, line.output_tokens,
                     exact(line.amount_nano)) for line in lines])
        for currency, lines in sorted(found.items())]


async def sheet_pdf(sheet: Sheet, name: str) -> web.Response:
    """A sheet as a PDF to keep. Raises `pdf_missing`."""
    return web.Response(body=await pdf.printed(sheet), content_type="application/pdf",
                        headers=attachment(f"{name}.pdf"))


async def show_all(visit: Visit) -> web.Response:
    """All of one's own documents, and the way to statements."""
    return page(visit, "money/invoices.html", invoices=await _listed(visit), more=PAGE,
                months=_months(visit.now_ms))


def _months(now_ms: int) -> list[str]:
    """This month and those before it, the latest first."""
    found = [month_text(now_ms)]
    while len(found) < MONTHS:
        found.append(month_text(month(found[-1]).start_ms - 1))
    return found


async def show_one(visit: Visit) -> web.Response:
    """One document as it is printed."""
    found = await _own(visit)
    sheet = invoice_sheet(visit, found)
    return page(visit, "money/sheet.html", sheet=sheet, back="/invoices",
                pdf=f"/invoices/{found.id}/pdf" if await pdf.can_print(sheet) else None)


async def give_pdf(visit: Visit) -> web.Response:
    """One document as PDF."""
    found = await _own(visit)
    return await sheet_pdf(invoice_sheet(visit, found), found.number)


async def show_statement(visit: Visit) -> web.Response:
    """A month by model, as it stands."""
    period = month(visit.ask(StatementQuery).month or month_text(visit.now_ms))
    found = await invoice.statement(visit.db, visit.account, period)
    text = month_text(period.start_ms)
    sheet = Sheet(
        visit.language, visit.t("invoices.statement"), ((visit.t("invoices.period"), text),),
        tables=tuple(lines_table(visit, lines, currency)
                     for currency, lines in sorted(found.items())),
        totals=tuple((visit.t("invoices.total"),
                      f"{exact(sum(line.amount_nano for line in lines))} {currency}")
                     for currency, lines in sorted(found.items())),
        notes=(visit.t("invoices.statement_note"),))
    return page(visit, "money/sheet.html", sheet=sheet, back="/invoices", pdf=None)


async def _receipt(visit: Visit) -> CoreInvoice:
    """A number that was given cannot be taken back: none is, before it can be said who sells."""
    if visit.services.config().operator.lacking():
        raise RelayError("invalid_value", param="operator")
    return await invoice.receipt_of(
        visit.db, seller(visit), visit.account, visit.name("order"), visit.now_ms)


async def make_receipt(visit: Visit) -> web.Response:
    """The receipt for one's own order, issued if there is none yet."""
    return redirect(f"/invoices/{(await _receipt(visit)).id}")


async def give_all(visit: Visit) -> web.Response:
    """Documents, the newest first."""
    return reply(await _listed(visit))


async def give_one(visit: Visit) -> web.Response:
    """One document."""
    return reply(whole(await _own(visit)))


async def give_statement(visit: Visit) -> web.Response:
    """A month, by currency."""
    return reply(await _statements(visit))


async def give_receipt(visit: Visit) -> web.Response:
    """The receipt for an order."""
    return reply(whole(await _receipt(visit)), 201)


_GONE: Final = ("invoice_not_found",)
ROUTES: Final = (
    Route("GET", "/invoices", show_all, HOLDER, "Invoices and receipts", asks=InvoiceQuery),
    Route("GET", "/invoices/{invoice}", show_one, HOLDER, "An invoice", example=_EXAMPLE),
    Route("GET", "/invoices/{invoice}/pdf", give_pdf, HOLDER, "An invoice as PDF",
          example=_EXAMPLE),
    Route("GET", "/statement", show_statement, HOLDER, "A month by model", asks=StatementQuery),
    Route("POST", "/orders/{order}/receipt", make_receipt, HOLDER, "The receipt for an order",
          example=_ORDER),
    Route("GET", "/api/v1/invoices", give_all, HOLDER, "One's own invoices and receipts",
          asks=InvoiceQuery, gives=list[ListedInvoice]),
    Route("GET", "/api/v1/invoices/{invoice}", give_one, HOLDER, "One invoice with its lines",
          gives=Invoice, errors=_GONE, example=_EXAMPLE),
    Route("GET", "/api/v1/statement", give_statement, HOLDER, "A month by model",
          asks=StatementQuery, gives=list[Statement], errors=("invalid_time",)),
    Route("POST", "/api/v1/orders/{order}/receipt", give_receipt, HOLDER,
          "The receipt for an order", gives=Invoice, status=201,
          errors=("order_not_found", "order_state", "invalid_value"), example=_ORDER),
)
