"""Sheets: exact figures, both languages, and a specimen that says what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from relayd.console import texts
from relayd.console.invoice_sheet import exact, invoice_sheet, minor, specimen_sheet
from relayd.console.visit import Visit
from relayd.core.invoice import Line, summed
from relayd.core.money import NANO
from relayd.core.vat import NO_VAT
from tests.core.test_fapiao import blue
from tests.core.test_invoice import invoice


class Reader:
    """What a sheet needs of a visit."""

    def __init__(self, language: str) -> None:
        self.language = language

    def t(self, name: str, /, **values: object) -> str:
        return texts.text(cast(Any, self.language), name, **values)


def reader(language: str) -> Visit:
    return cast(Visit, Reader(language))


def test_figures() -> None:
    assert (exact(-1_500_000_000), exact(1), exact(0)) == ("-1.50", "0.000000001", "0.00")
    for nano, currency, text in (
            (-12_300_000_000, "CNY", "-12.30 CNY"), (5 * NANO, "JPY", "5 JPY"),
            (NANO // 20, "ZZZ", "0.05 ZZZ"), (1_234_400_000, "KWD", "1.234 KWD"),
            (NANO // 2, "CLP", "1 CLP")):
        amount_nano, parts = summed([Line("use", "", nano)], currency, NO_VAT)
        found = replace(invoice(()), currency=currency, amount_nano=amount_nano, taxed=parts,
                        vat=NO_VAT)
        assert minor(parts.total, found) == text


@pytest.mark.parametrize("language, title, tax", [
    ("en", "Invoice", "VAT 6%"), ("zh", "账单", "增值税 6%")])
def test_an_invoice(language: str, title: str, tax: str) -> None:
    found = invoice((Line("use", "gpt-4o-mini", 1_234_567_890, 1234, 5, 6),
                     Line("use", "", 1), Line("credit", "", -5), Line("fee", "3", 7)))
    sheet = invoice_sheet(reader(language), found)
    assert sheet.title == title and tax in dict(sheet.totals)
    [table] = sheet.tables
    assert table.rows[0][1:] == ("gpt-4o-mini", "1,234", "5", "6", "1.23456789")
    assert table.rows[2][2:] == ("–", "–", "–", "-0.000000005")
    assert table.rows[3][1] == {"en": "entry 3 of the ledger", "zh": "账本第 3 笔"}[language]
    assert "王小明" in sheet.texts() and not sheet.banner


@pytest.mark.parametrize("language, loud", [("en", "NO FAPIAO"), ("zh", "不是发票")])
def test_a_specimen(language: str, loud: str) -> None:
    sheet = specimen_sheet(reader(language), blue(12345, 600), {"name": "S"}, "*服务*x")
    assert loud in sheet.banner and "壹佰贰拾叁圆肆角伍分" in sheet.texts()
