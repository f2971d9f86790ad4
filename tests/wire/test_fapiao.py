"""Files of fapiao: read as they are written, and nothing that a file can do to its reader."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.fapiao import FILE_BYTES_MAX
from relayd.core.issued import Issued
from relayd.core.amount_words import amount_words
from relayd.wire import fapiao
from relayd.wire.fapiao import read_ofd, read_xml, write_xml

BLUE = Issued("2" * 20, "2026-11-29", False, 11646, 699, 12345, "91330100799655058B",
              "9144030071526726XG", "卖方（深圳）有限公司", "买方<&>公司", "special",
              amount_words(12345))
RED = BLUE._replace(red=True, net_minor=-11646, tax_minor=-699, total_minor=-12345,
                    words=amount_words(-12345), blue_number="1" * 20, confirmation="3" * 20)
TABLE = """<ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016"><ofd:DocBody><ofd:DocInfo>
<ofd:CustomDatas><ofd:CustomData Name="发票号码">22222222222222222222</ofd:CustomData>
<ofd:CustomData Name="开票日期">2026年11月29日</ofd:CustomData>
<ofd:CustomData Name="合计金额">116.46</ofd:CustomData>
<ofd:CustomData Name="合计税额">6.99</ofd:CustomData>
<ofd:CustomData Name="购买方纳税人识别号">9144030071526726XG</ofd:CustomData>
<ofd:CustomData Name="销售方纳税人识别号">91330100799655058B</ofd:CustomData>
</ofd:CustomDatas></ofd:DocInfo></ofd:DocBody></ofd:OFD>"""


def zipped(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def code_of(work: object, content: bytes) -> tuple[str, str | None]:
    with pytest.raises(RelayError) as caught:
        work(content)  # type: ignore[operator]
    return caught.value.code, caught.value.param


@pytest.mark.parametrize("says", [BLUE, RED, BLUE._replace(kind="ordinary")])
def test_read_as_it_is_written(says: Issued) -> None:
    assert read_xml(write_xml(says, (("*信息技术服务*x", "6%"),))) == says
    assert read_ofd(zipped(("OFD.xml", TABLE.encode()),
                           ("Doc_0/Attachs/original_invoice.xml", write_xml(says)))) == says


def test_an_ofd_without_the_xml() -> None:
    says = read_ofd(zipped(("OFD.xml", TABLE.encode())))
    assert (says.number, says.issued_on, says.total_minor) == ("2" * 20, "2026-11-29", 12345)
    assert says.buyer_name is None
    assert code_of(read_ofd, zipped(("OFD.xml", TABLE.replace("合计税额", "x").encode())))[0] \
        == "fapiao_file"


BOMB = (b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10)
                   for n in range(9)) + b"]><EInvoice>&a8;</EInvoice>")


@pytest.mark.parametrize("content", [
    b"", b"<", b"hello", b"<x/>", BOMB, b'<!DOCTYPE x><EInvoice/>',
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><EInvoice>&e;</EInvoice>',
    b"<EInvoice>" + b"<a>" * 4000 + b"</a>" * 4000 + b"</EInvoice>",
    b"<EInvoice>" + b"<a/>" * fapiao.ELEMENTS_MAX + b"</EInvoice>", b"\xff\xfe<\x00",
    b'<?xml version="1.0" encoding="nothing"?><EInvoice/>', b"<EInvoice/>",
    b" " * (FILE_BYTES_MAX + 1)])
def test_xml_that_is_refused(content: bytes) -> None:
    assert code_of(read_xml, content)[0] == "fapiao_file"
    assert code_of(read_ofd, zipped(("a.xml", content.replace(b"x", b"EInvoice"))))[0] \
        == "fapiao_file"


@pytest.mark.parametrize("content", [
    b"<EInvoice>" + b"<b/>" * 500_000 + b"</EInvoice>",
    b"<EInvoice " + b" ".join(b'a%d="1"' % n for n in range(150_000)) + b"/>",
])
def test_tags_alone_are_not_even_parsed(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(content) < FILE_BYTES_MAX
    monkeypatch.setattr(fapiao, "fromstring", None)
    assert code_of(read_xml, content) == ("fapiao_file", "size")
    assert code_of(read_ofd, zipped(("OFD.xml", content))) == ("fapiao_file", "size")


def test_a_field_is_not_long() -> None:
    heaped = BLUE._replace(buyer_name="a" + "\u0301" * fapiao.FIELD_CHARS_MAX)
    assert code_of(read_xml, write_xml(heaped)) == ("fapiao_file", "size")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_other_methods_packed_is_not_unpacked(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("OFD.xml", TABLE)
    whole = out.getvalue()
    for content in (whole, whole[:45] + bytes(9) + whole[54:]):
        assert code_of(read_ofd, content) == ("fapiao_file", "ofd")


def test_zips_that_are_refused() -> None:
    bomb = zipped(("a.xml", b"<EInvoice>" + b" " * (20 * 1024 * 1024)))
    assert len(bomb) < 64 * 1024
    assert code_of(read_ofd, bomb) == ("fapiao_file", "size")
    many = zipped(*((f"{n}.xml", b"<x/>") for n in range(fapiao.ENTRIES_MAX + 1)))
    assert code_of(read_ofd, many) == ("fapiao_file", "size")
    whole = zipped(("OFD.xml", TABLE.encode()))
    for content in (b"PK\x03\x04", whole[:-30], whole[:40] + b"\0\0\0\0" + whole[44:],
                    zipped(("readme.txt", b"x")), b"PK" * (FILE_BYTES_MAX // 2 + 1)):
        assert code_of(read_ofd, content)[0] == "fapiao_file"
    several = zipped(*((f"{n}.xml", b" " * (2 * 1024 * 1024)) for n in range(9)))
    assert code_of(read_ofd, several) == ("fapiao_file", "size")


@given(st.binary(max_size=300))
def test_anything_else_is_no_fapiao(content: bytes) -> None:
    for work in (read_xml, read_ofd):
        assert code_of(work, content)[0] == "fapiao_file"


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_read(place: int, byte: int) -> None:
    content = bytearray(write_xml(BLUE))
    content[place % len(content)] = byte
    try:
        read_xml(bytes(content))
    except RelayError as error:
        assert error.code == "fapiao_file"
