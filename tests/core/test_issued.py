"""What an issued file says, against what it has to say."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.fapiao import Fapiao, Share
from relayd.core.issued import Issued, difference, from_text, signed_minor, wanted

SELLER = {"name": "Seller Ltd", "name_zh": "卖方（深圳）有限公司", "uscc": "91330100799655058B"}
MADE = Fapiao("fap_1", "acct_1", "special", "issuing", 12345, 699, 600, 0, 1,
              (Share("ord_1", 12345),), {"name": "买方公司", "uscc": "9144030071526726XG"})
WANT = wanted(MADE, SELLER)
SAYS = WANT._replace(number="2" * 20, issued_on="2026-11-29")
TEXT = """电子发票（增值税专用发票） 发票号码：22222222222222222222 开票日期：2026年11月29日
购买方 名称：买方公司 统一社会信用代码：9144030071526726XG
销售方 名称：卖方(深圳)有限公司 统一社会信用代码：91330100799655058B
合计 ¥116.46 ¥6.99 价税合计（大写） 壹佰贰拾叁圆肆角伍分 （小写） ¥123.45"""


def test_the_same_in_every_form() -> None:
    assert difference(SAYS, WANT) is None
    assert difference(SAYS._replace(
        seller_name="卖方(深圳) 有限公司", words="壹佰贰拾叁元肆角伍分"), WANT) is None
    # what a format does not say is not compared
    assert difference(SAYS._replace(seller_name=None, words=None, kind=None), WANT) is None


@pytest.mark.parametrize("field, value", [
    ("number", ""), ("number", "2" * 19), ("issued_on", ""), ("issued_on", "2026-13-01"),
    ("issued_on", "2026-W48-7"), ("issued_on", "2026/11/29"), ("red", True), ("net_minor", 11645),
    ("tax_minor", 700), ("total_minor", 12346), ("seller_uscc", ""), ("buyer_uscc", "x"),
    ("seller_name", "Seller"), ("buyer_name", ""), ("kind", "ordinary"), ("words", "壹圆整")])
def test_each_field_is_compared(field: str, value: object) -> None:
    assert difference(SAYS._replace(**{field: value}), WANT) == field  # type: ignore[arg-type]


def test_a_person_s_number_is_theirs() -> None:
    want = WANT._replace(buyer_uscc="")
    assert difference(SAYS._replace(buyer_uscc="110101199001010015"), want) is None


def test_what_it_has_to_say() -> None:
    assert (WANT.seller_name, WANT.red, WANT.blue_number) == (SELLER["name_zh"], False, None)
    assert wanted(MADE, {"name": "Seller Ltd"}).seller_name == "Seller Ltd"


def test_red_ones_name_the_blue_one() -> None:
    blue = Fapiao(**{**{name: getattr(MADE, name) for name in MADE.__slots__},
                     "number": "2" * 20})
    red = wanted(MADE, SELLER, blue)._replace(confirmation="3" * 20)
    assert red.red and red.blue_number == "2" * 20
    says = red._replace(number="4" * 20, issued_on="2026-11-30")
    assert difference(says, red) is None
    assert difference(says._replace(blue_number="5" * 20), red) == "blue_number"
    assert difference(says._replace(confirmation="5" * 20), red) == "confirmation"


def test_the_text_of_a_printed_one() -> None:
    says = from_text(TEXT, WANT)
    assert says.number == "2" * 20 and says.issued_on == "2026-11-29"
    assert difference(says, WANT) is None
    spaced = "\n".join(" ".join(line.replace(" ", "|")) for line in TEXT.splitlines())
    assert difference(from_text(spaced, WANT), WANT) is None
    # what stands behind the number is no part of it
    assert from_text(TEXT.replace(" 开票日期：", " 20261129 开票日期："), WANT) == says
    apart = TEXT.replace("¥116.46 ¥6.99", "1 116.46 6% 6.99").replace("¥123.45", "123.45")
    assert difference(from_text(apart, WANT), WANT) is None


def test_a_printed_one_is_red_where_it_says_so() -> None:
    red = WANT._replace(red=True)
    assert from_text(TEXT + "（负数）", red).red and not from_text(TEXT, red).red
    assert from_text(TEXT + "（负数）", WANT).red


@pytest.mark.parametrize("old, new, field", [
    ("买方公司", "别的公司", "buyer_name"), ("123.45", "123.46", "total_minor"),
    ("9144030071526726XG", "9144030071526726XH", "buyer_uscc"), ("肆角", "伍角", "words"),
    ("6.99", "7.00", "tax_minor"),
    # what was applied for is a part of what stands there
    ("¥123.45", "¥9123.45", "total_minor"), ("¥116.46", "¥1116.46", "net_minor"),
    ("¥116.46", "¥-116.46", "net_minor"), ("¥6.99", "¥6.990", "tax_minor"),
    ("壹佰贰拾叁圆", "玖仟壹佰贰拾叁圆", "words")])
def test_a_printed_one_that_differs(old: str, new: str, field: str) -> None:
    assert difference(from_text(TEXT.replace(old, new), WANT), WANT) == field


@pytest.mark.parametrize("text", ["", TEXT + "\n" + "3" * 20, TEXT.replace("2" * 20, "2" * 19),
                                  TEXT.replace("年", "-")])
def test_a_printed_one_without_one_number_and_a_date(text: str) -> None:
    with pytest.raises(RelayError) as caught:
        from_text(text, WANT)
    assert caught.value.code == "fapiao_file"


def test_amounts() -> None:
    assert [signed_minor(text) for text in ("¥12.30", "-1", "￥-0.05", "1,234.50")] == [
        1230, -100, -5, 123450]
    for text in ("", "x", "1.234", "1e5", "--1"):
        with pytest.raises(RelayError):
            signed_minor(text)
    assert isinstance(SAYS, Issued)
