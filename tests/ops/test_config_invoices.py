"""The values of [invoices]."""

from relayd.core.vat import Vat
from relayd.ops.config_invoices import InvoicesConfig


def test_no_tax_and_no_fapiao_unless_asked_for() -> None:
    assert InvoicesConfig().vat == Vat(0, True) and InvoicesConfig().fapiao == "off"
    assert InvoicesConfig().close_hours == 0
    assert InvoicesConfig(vat_rate=600, vat_inclusive=False).vat == Vat(600, False)
