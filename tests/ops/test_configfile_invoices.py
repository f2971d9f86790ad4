"""[invoices]: what is taken, and what is a fault."""

from __future__ import annotations

import pytest

from relayd.ops import configfile
from relayd.ops.config_invoices import InvoicesConfig

WHOLE = """
[invoices]
vat_rate = "0.5"
vat = "exclusive"
fapiao = "manual"
fapiao_days = 90
item = "*信息技术服务*x"
category = "3040105000000000000"
close_hours = 36
[operator]
name = "Example Ltd"
address = "1 Example Road"
contact = "hello@example.org"
court = "Example Court"
"""


def test_the_whole_table() -> None:
    assert configfile.loads(WHOLE).invoices == InvoicesConfig(
        50, False, "manual", 90, "*信息技术服务*x", "3040105000000000000", 36)
    assert configfile.loads("").invoices == InvoicesConfig()
    assert configfile.loads("[invoices]\nvat_rate = 6").invoices.vat_rate == 600
    assert configfile.loads('[invoices]\nvat_rate = "13"').invoices.vat_rate == 1300


@pytest.mark.parametrize("text, where", [
    ("vat_rate = 0.5", "vat_rate"), ('vat_rate = "x"', "vat_rate"),
    ('vat_rate = "100"', "vat_rate"),
    ('vat_rate = "6.125"', "vat_rate"), ("vat_rate = true", "vat_rate"), ('vat = "x"', "vat"),
    ('fapiao = "x"', "fapiao"), ("fapiao_days = 0", "fapiao_days"), ('category = "1"', "category"),
    ("close_hours = -1", "close_hours"), ("close_hours = 673", "close_hours"),
    ('rate = "6"', "rate")])
def test_faults(text: str, where: str) -> None:
    reading = configfile.examine_text(f"[invoices]\n{text}")
    assert [fault.key for fault in reading.faults] == [f"invoices.{where}"]


def test_months_that_close_by_themselves_need_a_seller() -> None:
    reading = configfile.examine_text("[invoices]\nclose_hours = 24")
    [fault] = reading.faults
    assert fault.key == "operator" and "close_hours" in str(fault)
