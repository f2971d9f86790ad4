"""What a company says of itself: checked, in one form, and in no repr."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.enterprise import Enterprise, company_name
from relayd.core.errors import RelayError

WHOLE = Enterprise("买方(北京)科技有限公司", " 9144 0300 7152 6726 xg", " 某路 1 号 ", "010-1234567",
                   "某银行", "6222 0212 3456 7890 123")


def test_one_form() -> None:
    made = WHOLE.checked()
    assert made.name == "买方（北京）科技有限公司" and made.uscc == "9144030071526726XG"
    assert made.bank_account == "6222021234567890123" and made.address == "某路 1 号"
    assert made.checked() == made
    assert company_name("Buyer (Beijing) Ltd") == "Buyer (Beijing) Ltd"
    assert company_name("一(A)") == "一（A）" and company_name("\u9fff(A)") == "\u9fff（A）"
    assert "买方" not in repr(made) and "6222" not in repr(made)


def test_all_but_name_and_code_may_be_left_out() -> None:
    made = Enterprise(WHOLE.name, WHOLE.uscc, address="  ").checked()
    assert (made.address, made.phone, made.bank, made.bank_account) == ("", "", "", "")
    assert set(made.buyer(shown=True)) == {"name", "uscc"}


@pytest.mark.parametrize("field, value, code, param", [
    ("name", " ", "invalid_value", "name"), ("name", "x" * 101, "invalid_value", "name"),
    ("uscc", "9144030071526726XH", "invalid_uscc", "uscc"),
    ("phone", "call me", "invalid_value", "phone"),
    ("bank", "", "invalid_value", "bank"), ("bank_account", "", "invalid_value", "bank_account"),
    ("bank_account", "12-34", "invalid_value", "bank_account"),
    ("address", "a\nb", "invalid_value", "address")])
def test_what_is_refused(field: str, value: str, code: str, param: str) -> None:
    with pytest.raises(RelayError) as caught:
        replace(WHOLE, **{field: value}).checked()
    assert (caught.value.code, caught.value.param) == (code, param)


def test_what_an_invoice_shows() -> None:
    made = WHOLE.checked()
    assert set(made.buyer(shown=False)) == {"name", "uscc"}
    assert set(made.buyer(shown=True)) == {
        "name", "uscc", "address", "phone", "bank", "bank_account"}
