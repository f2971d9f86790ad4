"""One's own fapiao: apply, see how it stands, take the file.

Law: what is not issued says loudly that it is none.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.export import attachment
from relayd.console.invoice import seller, sheet_pdf
from relayd.console.invoice_sheet import specimen_sheet
from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import enterprise, fapiao, fapiao_file
from relayd.control.fapiao import Offer, Wish
from relayd.core.currency import minor_text
from relayd.core.errors import RelayError
from relayd.core.fapiao import CURRENCY, FORMATS, KINDS, FapiaoKind, FapiaoState, FileFormat
from relayd.core.fapiao import Fapiao as CoreFapiao
from relayd.core.timestamp import rfc3339
from relayd.ops import pdf
from relayd.store.fapiao import FapiaoFilter

PAGE: Final = 100
MEDIA: Final[dict[FileFormat, str]] = {
    "xml": "application/xml", "pdf": "application/pdf", "ofd": "application/ofd"}
_EXAMPLE: Final = {"fapiao": "fap_01KDVBXH00000000000000000Z"}
_FILE: Final = {**_EXAMPLE, "format": "xml"}


class ListedFapiao(msgspec.Struct, frozen=True):
    """One application or red letter. Amounts are decimal texts in CNY."""

    id: str
    kind: FapiaoKind
    state: FapiaoState
    amount: str
    tax: str
    created_at: str
    reason: str | None
    reverses: str | None
    number: str | None
    issued_on: str | None


class Fapiao(ListedFapiao, frozen=True):
    """The whole: its buyer, its orders with their amounts, the formats of its files."""

    buyer: dict[str, str]
    orders: dict[str, str]
    files: list[FileFormat]


class OpenOrder(msgspec.Struct, frozen=True):
    """An order of which a fapiao can be issued, and how much of it."""

    order: str
    left: str
    paid_at: str


class FapiaoStanding(msgspec.Struct, frozen=True):
    """All of one's own, and what can be applied for."""

    offered: bool
    fapiao: list[ListedFapiao]
    orders: list[OpenOrder]


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is applied for. `title`: a person's name; without one it is the enterprise's."""

    orders: list[str] = []
    kind: FapiaoKind = "ordinary"
    title: str | None = None
    shown: bool = False

    def __repr__(self) -> str:
        return "Application"


def listed(found: CoreFapiao) -> ListedFapiao:
    """One in a list."""
    return ListedFapiao(
        found.id, found.kind, found.state, minor_text(found.amount_minor, CURRENCY),
        minor_text(found.tax_minor, CURRENCY), rfc3339(found.created_at_ms), found.reason,
        found.reverses, found.number, found.issued_on)


async def whole(visit: Visit, found: CoreFapiao) -> Fapiao:
    """One with all that belongs to it."""
    return Fapiao(
        **msgspec.structs.asdict(listed(found)), buyer=dict(found.buyer),
        orders={share.order: minor_text(share.minor, CURRENCY) for share in found.shares},
        files=await fapiao_file.formats(visit.db, found))


async def _standing(visit: Visit) -> FapiaoStanding:
    config = visit.services.config().invoices
    orders = await fapiao.open_orders(
        visit.db, visit.account, config.fapiao_days, visit.now_ms)
    found = await fapiao.listing(visit.db, FapiaoFilter(visit.account), PAGE)
    return FapiaoStanding(
        config.fapiao != "off", [listed(each) for each in found],
        [OpenOrder(each.id, minor_text(left, CURRENCY), rfc3339(each.paid_at_ms or 0))
         for each, left in orders])


async def _apply(visit: Visit, form: Application) -> CoreFapiao:
    config = visit.services.config().invoices
    if config.fapiao == "off":
        raise RelayError("fapiao_state")
    title = (form.title or "").strip() or None
    return await fapiao.apply(
        visit.db, visit.actor, visit.account, Wish(form.orders, form.kind, title, form.shown),
        Offer(seller(visit), config.fapiao_days), visit.now_ms)


async def _own(visit: Visit) -> CoreFapiao:
    return await fapiao.own(visit.db, visit.account, visit.name("fapiao"))


async def show_all(visit: Visit) -> web.Response:
    """All of one's own, and the form for another."""
    return await _all_page(visit, Application())


async def _all_page(
    visit: Visit, form: Application, error: RelayError | None = None
) -> web.Response:
    marked = await enterprise.find(visit.db, visit.account)
    company = marked.profile if marked else None
    kinds = [(kind, visit.t(f"fapiao.kind_{kind}")) for kind in KINDS]
    return page(visit, "money/fapiao.html", 200 if error is None else error.status,
                standing=await _standing(visit), company=company and company.name,
                kinds=kinds if company else kinds[:1], form=form, error=error,
                fault=error and error.param)


async def apply(visit: Visit) -> web.Response:
    """Applies, or shows the form again with what was wrong in it."""
    form = visit.take(Application)
    try:
        made = await _apply(visit, form)
    except RelayError as error:
        return await _all_page(visit, form, error)
    return redirect(f"/fapiao/{made.id}")


async def show_one(visit: Visit) -> web.Response:
    """One, and its files."""
    found = await _own(visit)
    return page(visit, "money/fapiao_one.html", fapiao=await whole(visit, found))


async def cancel(visit: Visit) -> web.Response:
    """Takes an application back."""
    made = await fapiao.cancel(
        visit.db, visit.actor, visit.account, visit.name("fapiao"), visit.now_ms)
    return redirect(f"/fapiao/{made.id}")


async def show_specimen(visit: Visit) -> web.Response:
    """How it will look."""
    found = await _own(visit)
    sheet = specimen_sheet(visit, found, seller(visit).block(),
                           visit.services.config().invoices.item)
    return page(visit, "money/sheet.html", sheet=sheet, back=f"/fapiao/{found.id}",
                pdf=f"/fapiao/{found.id}/specimen/pdf" if await pdf.can_print(sheet) else None)


async def give_specimen(visit: Visit) -> web.Response:
    """The same as PDF."""
    found = await _own(visit)
    return await sheet_pdf(specimen_sheet(
        visit, found, seller(visit).block(), visit.services.config().invoices.item), "specimen")


async def give_file(visit: Visit) -> web.Response:
    """The file as it was issued."""
    kind = visit.name("format")
    if kind not in FORMATS:
        raise RelayError("fapiao_not_found")
    content = await fapiao_file.deliver(
        visit.db, visit.actor, visit.account, visit.name("fapiao"), kind, visit.now_ms)
    return web.Response(body=content, content_type=MEDIA[kind],
                        headers=attachment(f"fapiao.{kind}"))


async def give_all(visit: Visit) -> web.Response:
    """All of one's own, and what can be applied for."""
    return reply(await _standing(visit))


async def give_one(visit: Visit) -> web.Response:
    """One of one's own."""
    return reply(await whole(visit, await _own(visit)))


async def give_applied(visit: Visit) -> web.Response:
    """An application."""
    return reply(await whole(visit, await _apply(visit, visit.take(Application))), 201)


async def give_cancelled(visit: Visit) -> web.Response:
    """An application, taken back."""
    made = await fapiao.cancel(
        visit.db, visit.actor, visit.account, visit.name("fapiao"), visit.now_ms)
    return reply(await whole(visit, made))


ROUTES: Final = (
    Route("GET", "/fapiao", show_all, HOLDER, "One's own fapiao"),
    Route("POST", "/fapiao", apply, HOLDER, "Apply for a fapiao", takes=Application),
    Route("GET", "/fapiao/{fapiao}", show_one, HOLDER, "A fapiao", example=_EXAMPLE),
    Route("POST", "/fapiao/{fapiao}/cancel", cancel, HOLDER, "Take an application back",
          example=_EXAMPLE),
    Route("GET", "/fapiao/{fapiao}/specimen", show_specimen, HOLDER, "How a fapiao will look",
          example=_EXAMPLE),
    Route("GET", "/fapiao/{fapiao}/specimen/pdf", give_specimen, HOLDER, "The same as PDF",
          example=_EXAMPLE),
    Route("GET", "/fapiao/{fapiao}/file/{format}", give_file, HOLDER, "A fapiao's file",
          example=_FILE),
    Route("GET", "/api/v1/fapiao", give_all, HOLDER, "One's own fapiao, and open orders",
          gives=FapiaoStanding),
    Route("POST", "/api/v1/fapiao", give_applied, HOLDER, "Apply for a fapiao",
          takes=Application, gives=Fapiao, status=201,
          errors=("fapiao_amount", "fapiao_state", "not_enterprise", "order_not_found",
                  "invalid_value")),
    Route("GET", "/api/v1/fapiao/{fapiao}", give_one, HOLDER, "One fapiao", gives=Fapiao,
          errors=("fapiao_not_found",), example=_EXAMPLE),
    Route("POST", "/api/v1/fapiao/{fapiao}/cancel", give_cancelled, HOLDER,
          "Take an application back", gives=Fapiao,
          errors=("fapiao_not_found", "fapiao_state"), example=_EXAMPLE),
)
