"""Invoices and fapiao as sheets: the words and figures that a page or a PDF prints.

Law: figures are exact: lines to the nano-unit where they need it, totals in whole minor units.
What is not a fapiao says so, loudly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from relayd.console.visit import Visit
from relayd.core.amount_words import amount_words
from relayd.core.currency import PLACES_DEFAULT, minor_decimal, minor_text
from relayd.core.fapiao import CURRENCY, Fapiao
from relayd.core.invoice import Invoice, Line, month_text
from relayd.core.money import decimal
from relayd.core.sheet import Sheet, Table
from relayd.core.timestamp import rfc3339
from relayd.core.vat import rate_text

_BUYER: Final = ("name", "uscc", "address", "phone", "bank", "bank_account")
_NUMBERS: Final = frozenset({2, 3, 4, 5})


def minor(amount: int, found: Invoice) -> str:
    """Minor units of a document as a decimal text with their currency."""
    return f"{minor_decimal(amount, found.places)} {found.currency}"


def exact(nano: int) -> str:
    """Nano-units as a decimal text, exact."""
    return ("-" if nano < 0 else "") + decimal(abs(nano), PLACES_DEFAULT)


def line_texts(visit: Visit, line: Line) -> tuple[str, ...]:
    """One line: what it is, what it is about, and its figures."""
    used = line.kind == "use"
    about = line.reference or (visit.t("invoices.no_model") if used else "–")
    if line.kind in ("fee", "proration"):
        about = visit.t("invoices.entry", number=line.reference)
    figures = (line.calls, line.input_tokens, line.output_tokens)
    return (visit.t(f"invoices.line_{line.kind}"), about,
            *(f"{figure:,}" if used else "–" for figure in figures), exact(line.amount_nano))


def lines_table(visit: Visit, lines: Sequence[Line], currency: str) -> Table:
    """All lines, under their heads."""
    heads = (*(visit.t(f"invoices.{name}") for name in (
        "what", "about", "calls", "input", "output")), f"{visit.t('invoices.amount')} {currency}")
    return Table(heads, tuple(line_texts(visit, line) for line in lines), _NUMBERS)


def _seller(visit: Visit, seller: Mapping[str, str]) -> tuple[str, ...]:
    zh = visit.language == "zh"
    name = (zh and seller.get("name_zh")) or seller.get("name", "")
    address = (zh and seller.get("address_zh")) or seller.get("address", "")
    code = seller.get("uscc", "")
    return tuple(text for text in (
        name, address, code and f"{visit.t('invoices.uscc')}: {code}",
        seller.get("billing") or seller.get("contact", "")) if text)


def _buyer(visit: Visit, buyer: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        buyer[name] if name == "name" else f"{visit.t(f'invoices.{name}')}: {buyer[name]}"
        for name in _BUYER if buyer.get(name))


def invoice_sheet(visit: Visit, found: Invoice) -> Sheet:
    """An invoice or a receipt."""
    t = visit.t
    facts = [(t("invoices.number"), found.number),
             (t("invoices.issued"), rfc3339(found.issued_at_ms)[:10]),
             (t("invoices.period"), month_text(found.period.start_ms)),
             (t("invoices.state"), t(f"invoices.state_{found.state}"))]
    if found.reverses:
        facts.append((t("invoices.reverses"), found.reverses))
    totals = [(t("invoices.exact"), f"{exact(found.amount_nano)} {found.currency}")]
    if found.vat.rate:
        totals += [(t("invoices.net"), minor(found.taxed.net, found)),
                   (t("invoices.tax", rate=rate_text(found.vat.rate)),
                    minor(found.taxed.tax, found))]
    totals.append((t("invoices.total"), minor(found.taxed.total, found)))
    return Sheet(
        visit.language, t(f"invoices.kind_{found.kind}"), tuple(facts),
        ((t("invoices.seller"), _seller(visit, found.seller)),
         (t("invoices.buyer"), _buyer(visit, found.buyer))),
        (lines_table(visit, found.lines, found.currency),), tuple(totals),
        (t("invoices.rounding"), t("invoices.no_fapiao")))


def specimen_sheet(
    visit: Visit, found: Fapiao, seller: Mapping[str, str], item: str,
) -> Sheet:
    """How a fapiao will look: it says that it is none."""
    t = visit.t
    facts = ((t("fapiao.application"), found.id),
             (t("fapiao.kind"), t(f"fapiao.kind_{found.kind}")),
             (t("fapiao.state"), t(f"fapiao.state_{found.state}")))
    table = Table(
        (t("fapiao.item"), t("fapiao.rate"), t("invoices.net"), t("fapiao.tax")),
        ((item, rate_text(found.vat_rate), minor_text(found.taxed.net, CURRENCY),
          minor_text(found.taxed.tax, CURRENCY)),), frozenset({1, 2, 3}))
    return Sheet(
        visit.language, t("fapiao.specimen"), facts,
        ((t("invoices.seller"), _seller(visit, seller)),
         (t("invoices.buyer"), _buyer(visit, found.buyer))), (table,),
        ((t("invoices.total"), f"{minor_text(found.amount_minor, CURRENCY)} {CURRENCY}"),
         (t("fapiao.words"), amount_words(found.amount_minor))), (),
        t("fapiao.not_one"))
