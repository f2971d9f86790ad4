"""Issued files in each format: taken in where every field fits, kept, handed to their holder."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest

from relayd.control import fapiao, fapiao_file, mail
from relayd.control.issuer import ByHand
from relayd.core.actor import SHELL, Actor
from relayd.core.amount_words import amount_words
from relayd.core.errors import RelayError
from relayd.core.fapiao import FILE_BYTES_MAX, Fapiao
from relayd.core.sheet import Sheet
from relayd.ops import pdf
from relayd.store.db import open_database
from tests.control.test_fapiao import ITEM, SELLER, applied, file_of
from tests.fakes.till import Till, till

__all__ = ["till"]
NUMBER = "26" + "4" * 18


async def at_issuer(till: Till) -> Fapiao:
    order, _ = await till.credited("alipay", 12345)
    made = await applied(till, order.id)
    await fapiao.take(till.db, SHELL, made.id, till.now_ms)
    return await fapiao_file.send(till.db, SHELL, ByHand(), made.id, SELLER, till.now_ms)


async def take_in(till: Till, made: Fapiao, content: bytes) -> Fapiao:
    return await fapiao_file.take_in(till.db, SHELL, made.id, content, SELLER, till.now_ms)


def printed_text(buyer: str) -> Sheet:
    return Sheet("zh", "电子发票（普通发票）", (
        ("发票号码", NUMBER), ("开票日期", "2026年11月29日")), (
        ("购买方", (buyer,)), ("销售方", ("卖方（深圳）有限公司", "91330100799655058B"))), (), (
        ("金额", "116.46"), ("税额", "6.99"), ("价税合计", "123.45"),
        ("大写", amount_words(12345))))


async def test_xml_then_ofd_and_pdf_of_the_same(till: Till) -> None:
    made = await at_issuer(till)
    content = await file_of(till, made, NUMBER)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("Doc_0/Attachs/original_invoice.xml", content)
    printed = await pdf.printed(printed_text("王小明"))
    for file in (content, out.getvalue(), printed):
        assert (await take_in(till, made, file)).number == NUMBER
    assert await fapiao_file.formats(till.db, made) == ["ofd", "pdf", "xml"]
    assert await fapiao_file.deliver(
        till.db, Actor(till.holder), till.holder, made.id, "pdf", till.now_ms) == printed
    with pytest.raises(RelayError) as caught:
        await fapiao_file.deliver(
            till.db, Actor("acct_other"), "acct_other", made.id, "pdf", till.now_ms)
    assert caught.value.code == "fapiao_not_found"
    # another number for what was issued already
    with pytest.raises(RelayError) as caught:
        await take_in(till, made, await file_of(till, made, "27" + "4" * 18))
    assert caught.value.param == "number"


async def test_two_processes_that_take_the_same_in_tell_once(till: Till) -> None:
    made = await at_issuer(till)
    content = await file_of(till, made, NUMBER)
    both = [await open_database(till.db.directory) for _ in range(2)]
    taken = await asyncio.gather(*(fapiao_file.take_in(
        each, SHELL, made.id, content, SELLER, till.now_ms) for each in both))
    assert {each.number for each in taken} == {NUMBER}
    kinds = [each.kind for each in await mail.listing(till.db)]
    assert kinds.count("fapiao_ready") == 1
    for each in both:
        await each.close()


async def test_a_pdf_alone(till: Till) -> None:
    made = await at_issuer(till)
    with pytest.raises(RelayError) as caught:
        await take_in(till, made, await pdf.printed(printed_text("王大明")))
    assert (caught.value.code, caught.value.param) == ("fapiao_mismatch", "buyer_name")
    assert (await take_in(till, made, await pdf.printed(printed_text("王小明")))).state == "issued"


@pytest.mark.parametrize("content", [
    b"", b"hello", b"%PDF-1.7 nothing", b"PK\x03\x04", b"<x/>", b"GIF89a",
    b"<" * (FILE_BYTES_MAX + 1)])
async def test_what_is_no_fapiao(till: Till, content: bytes) -> None:
    made = await at_issuer(till)
    with pytest.raises(RelayError) as caught:
        await take_in(till, made, content)
    assert caught.value.code == "fapiao_file"


async def test_a_file_before_its_time(till: Till) -> None:
    order, _ = await till.credited("alipay", 12345)
    made = await applied(till, order.id)
    with pytest.raises(RelayError) as caught:
        await take_in(till, made, await file_of(till, made, NUMBER))
    assert caught.value.code == "fapiao_state"


async def test_what_an_issuer_fills_in(till: Till) -> None:
    made = await at_issuer(till)
    text = (await fapiao_file.as_xml(till.db, made, SELLER, ITEM)).decode()
    assert "*信息技术服务*" in text and "InvoiceNumber" not in text
    # asking again is harmless
    again = await fapiao_file.send(till.db, SHELL, ByHand(), made.id, SELLER, till.now_ms)
    assert again.state == "issuing"
