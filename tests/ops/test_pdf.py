"""PDF: printed and read again; nothing printed that the font at hand cannot show."""

from __future__ import annotations

import asyncio
import io
import time
import zlib

import pypdf
import pytest

from relayd.core.errors import RelayError
from relayd.core.sheet import Sheet, Table
from relayd.ops import pdf

ENGLISH = Sheet("en", "Invoice INV-1", (("Number", "INV-1"),), (("Seller", ("A Ltd",)),
                ("Buyer", ("B Ltd",))), (Table(("What", "Amount"), tuple(
                    (f"model-{n}", f"{n}.00") for n in range(80)), frozenset({1})),),
                (("Total", "12.30 USD"),), ("One note.",), "SPECIMEN")
CHINESE = Sheet("zh", "账单", (("编号", "INV-1"),), notes=("四舍五入一次。",))


async def test_english_and_chinese() -> None:
    for sheet in (ENGLISH, CHINESE):
        content = await pdf.printed(sheet)
        text = "".join((await pdf.text_of(content)).split())
        for word in sheet.texts().splitlines():
            assert "".join(word.split()) in text
        assert len(content) < 200_000


async def test_numbers_end_below_each_other() -> None:
    content = await pdf.printed(ENGLISH)
    starts: dict[str, float] = {}
    pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text(
        visitor_text=lambda text, _, place, *__: starts.setdefault(
            text.replace("\0", "").strip(), place[4]))
    assert starts["model-1"] == starts["model-10"] and starts["1.00"] > starts["10.00"] + 2


async def test_sheets_are_printed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way: list[int] = []
    most = 0

    def printing(sheet: Sheet) -> bytes:
        nonlocal most
        under_way.append(1)
        most = max(most, len(under_way))
        time.sleep(0.01)
        under_way.pop()
        return b"%PDF"

    monkeypatch.setattr(pdf, "_printed", printing)
    done = await asyncio.gather(
        *(pdf.printed(ENGLISH) for _ in range(pdf.WAITING_MAX + 2)), return_exceptions=True)
    refused = [each.code for each in done if isinstance(each, RelayError)]
    assert (most, refused, done.count(b"%PDF")) == (1, ["overloaded"] * 2, pdf.WAITING_MAX)
    assert await pdf.printed(ENGLISH) == b"%PDF"


async def test_characters_that_the_font_lacks() -> None:
    assert await pdf.can_print(CHINESE) and await pdf.can_print(Sheet("en", "Café Жук"))
    assert not await pdf.can_print(Sheet("en", "Smile \U0001f600"))


async def test_without_the_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "font", lambda: None)
    assert await pdf.can_print(ENGLISH) and not await pdf.can_print(CHINESE)
    assert "INV-1" in await pdf.text_of(await pdf.printed(ENGLISH))
    with pytest.raises(RelayError) as caught:
        await pdf.printed(CHINESE)
    assert caught.value.code == "pdf_missing"


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "has", lambda package: False)
    pdf.font.cache_clear()
    try:
        assert pdf.font() is None and not await pdf.can_print(ENGLISH)
        for work in (pdf.printed(ENGLISH), pdf.text_of(b"%PDF-1.7")):
            with pytest.raises(RelayError) as caught:
                await work  # type: ignore[misc]
            assert caught.value.code == "pdf_missing"
    finally:
        pdf.font.cache_clear()


async def test_files_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await pdf.printed(ENGLISH)
    for content in (b"", b"%PDF-1.7", b"%PDF-1.7\n" + b"x" * 999, whole[:200],
                    # a filter that nobody knows
                    whole.replace(b"/FlateDecode", b"/FlateDecodX")):
        with pytest.raises(RelayError) as caught:
            await pdf.text_of(content)
        assert caught.value.code == "fapiao_file"
    monkeypatch.setattr(pdf, "PAGES_MAX", 1)
    with pytest.raises(RelayError):
        await pdf.text_of(whole)


def hostile(content: bytes, pages: int = 1) -> bytes:
    """A small file whose pages all have this content."""
    packed = zlib.compress(content, 9)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%b]/Count %d>>" % (b"3 0 R " * pages, pages),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>"
        b">>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    body = b"%PDF-1.7\n" + b"".join(
        b"%d 0 obj\n%b\nendobj\n" % (number, part) for number, part in enumerate(parts, 1))
    return body + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n0\n%%EOF"


async def test_a_small_file_keeps_its_reader_no_longer_than_anybody_waits(
        monkeypatch: pytest.MonkeyPatch) -> None:
    assert "aa" in await pdf.text_of(hostile(b"BT /F 1 Tf (aa) Tj ET"))
    began = time.monotonic()
    # beyond a bound of the reader: many operators, and much that is unpacked
    for content in (b"BT /F 1 Tf " + b"(a)Tj " * 300_000, b" " * 9_000_000 + b"BT (a)Tj ET"):
        with pytest.raises(RelayError) as caught:
            await pdf.text_of(hostile(content, pages=pdf.PAGES_MAX))
        assert caught.value.code == "fapiao_file"
    assert time.monotonic() - began < pdf.READ_SECONDS
    # within them, and still too long: the thread itself ends
    many = hostile(b"BT /F 1 Tf " + b"(a)Tj " * 20_000 + b"ET", pages=pdf.PAGES_MAX)
    monkeypatch.setattr(pdf, "READ_SECONDS", 0.0)
    with pytest.raises(RelayError):
        pdf._text_of(many)
