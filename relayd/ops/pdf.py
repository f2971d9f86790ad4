"""PDF: prints sheets, and reads the text of a file. Both libraries and the font are extras.

Law: what the font at hand cannot show is not printed at all: there is a page to print instead. A
file that is read comes from outside: its size is bounded before, its text here.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from functools import cache
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from unicodedata import combining

from relayd.core.errors import RelayError
from relayd.core.sheet import Sheet, Table
from relayd.ops.clock import monotonic

WRITER: Final = "fpdf"
READER: Final = "pypdf"
FONT_PACKAGE: Final = "pylopdf_fonts_zh_cn"
FONT_FILE: Final = "NotoSansSC-Regular.otf"
FAMILY: Final = "sheet"
PAGES_MAX: Final = 20
TEXT_CHARS_MAX: Final = 200_000
READ_SECONDS: Final = 20.0
_STREAM_BYTES_MAX: Final = 8 * 1024 * 1024
_BOUNDS: Final = {
    "stream_parsing_work_maximum_count": 200_000,
    "stream_decoding_work_maximum_length": 4 * _STREAM_BYTES_MAX,
    "array_based_stream_maximum_output_length": _STREAM_BYTES_MAX,
    **{f"{name}_maximum_output_length": _STREAM_BYTES_MAX
       for name in ("zlib", "lzw", "run_length", "brotli")}}
"""Of one stream, where the reader has such bounds: its own are for files of any kind, and let a
fapiao of 3 KB keep it busy for minutes, beside calls."""
WAITING_MAX: Final = 8
"""Sheets that are printed or wait for it: one at a time, because calls are relayed meanwhile."""
_GREY: Final = (110, 110, 110)
_RED: Final = (200, 0, 0)


def has(package: str) -> bool:
    """Whether a package of the extra `pdf` is there."""
    return find_spec(package) is not None


@cache
def font() -> Path | None:
    """The file of the Chinese font; None where its package is not there."""
    if not has(FONT_PACKAGE):
        return None
    path = Path(str(resources.files(FONT_PACKAGE) / FONT_FILE))
    return path if path.exists() else None


@cache
def _shown() -> frozenset[int]:
    """The characters that the font has."""
    with import_module("fontTools.ttLib").TTFont(str(font()), lazy=True) as opened:
        return frozenset(opened.getBestCmap())


async def can_print(sheet: Sheet) -> bool:
    """Whether every character of a sheet can be printed here."""
    texts = sheet.texts()
    if not has(WRITER):
        return False
    if font() is None:
        return texts.isascii()
    if texts.isascii():
        return True
    # the first time reads the font's table
    return {ord(each) for each in texts} - {ord("\n")} <= await asyncio.to_thread(_shown)


class _Printer:
    """A thread of its own, and how many sheets it has before it."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1, "pdf")
        self.waiting = 0


@cache
def _printer() -> _Printer:
    return _Printer()


async def printed(sheet: Sheet) -> bytes:
    """The PDF of a sheet. Raises `pdf_missing` where it cannot be printed, `overloaded` where too
    many wait."""
    if not await can_print(sheet):
        raise RelayError("pdf_missing")
    printer = _printer()
    if printer.waiting >= WAITING_MAX:
        raise RelayError("overloaded")
    printer.waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(
            printer.executor, _printed, sheet)
    finally:
        printer.waiting -= 1


def _printed(sheet: Sheet) -> bytes:
    pdf: Any = import_module(WRITER).FPDF(format="A4")
    path = font()
    if path is None:
        family = "helvetica"
    else:
        family = FAMILY
        pdf.add_font(FAMILY, "", str(path))
    pdf.set_title(sheet.title)
    pdf.set_lang("zh-CN" if sheet.language == "zh" else "en")
    pdf.set_auto_page_break(True, 20)
    pdf.add_page()
    pdf.set_font(family, size=10)
    _banner(pdf, sheet)
    pdf.set_font(family, size=18)
    pdf.cell(0, 12, sheet.title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(family, size=9)
    for name, value in sheet.facts:
        pdf.cell(45, 5, name)
        pdf.multi_cell(0, 5, value, new_x="LMARGIN", new_y="NEXT")
    _parties(pdf, sheet)
    for table in sheet.tables:
        pdf.ln(4)
        _table(pdf, table)
    pdf.ln(3)
    for name, value in sheet.totals:
        pdf.cell(pdf.epw - 45, 6, name, align="R")
        pdf.cell(45, 6, value, align="R", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)
    pdf.set_text_color(*_GREY)
    for note in sheet.notes:
        pdf.multi_cell(0, 5, note, new_x="LMARGIN", new_y="NEXT")
    _banner(pdf, sheet)
    return bytes(pdf.output())


def _banner(pdf: Any, sheet: Sheet) -> None:
    if not sheet.banner:
        return
    pdf.set_text_color(*_RED)
    pdf.set_font_size(20)
    pdf.multi_cell(0, 10, sheet.banner, align="C", border=1, new_x="LMARGIN", new_y="NEXT")
    pdf.set_text_color(0, 0, 0)


def _parties(pdf: Any, sheet: Sheet) -> None:
    if not sheet.parties:
        return
    pdf.ln(4)
    width = pdf.epw / len(sheet.parties)
    top, bottom = pdf.y, pdf.y
    for place, (head, lines) in enumerate(sheet.parties):
        pdf.set_xy(pdf.l_margin + place * width, top)
        pdf.multi_cell(width - 4, 5, "\n".join((head, *lines)), align="L",
                       new_x="LEFT", new_y="NEXT")
        bottom = max(bottom, pdf.y)
    pdf.set_xy(pdf.l_margin, bottom)


def _table(pdf: Any, table: Table) -> None:
    aligns = tuple("RIGHT" if column in table.numbers else "LEFT"
                   for column in range(len(table.heads)))
    plain = import_module(f"{WRITER}.fonts").FontFace()
    with pdf.table(text_align=aligns, headings_style=plain, line_height=5) as made:
        for cells in (table.heads, *table.rows):
            made.row(cells)


async def text_of(content: bytes) -> str:
    """The text of a PDF. Raises `fapiao_file`; `pdf_missing` where the extra is not there."""
    if not has(READER):
        raise RelayError("pdf_missing")
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await asyncio.to_thread(_text_of, content)
    except TimeoutError:
        raise RelayError("fapiao_file", param="pdf") from None


def _bounded(pypdf: Any) -> AbstractContextManager[object]:
    """The reader's bounds while a file is read; those that this version has."""
    if not hasattr(pypdf, "apply_configuration"):
        return nullcontext()
    known = {each.name for each in fields(pypdf.Configuration)}
    made: AbstractContextManager[object] = pypdf.apply_configuration(
        **{name: value for name, value in _BOUNDS.items() if name in known})
    return made


def _page_text(page: Any, look: Callable[..., None]) -> str:
    look()
    return str(page.extract_text(visitor_operand_before=look))


def _text_of(content: bytes) -> str:
    pypdf = import_module(READER)
    until = monotonic() + READ_SECONDS

    def look(*_: object) -> None:
        # nobody waits for it any more, and a thread cannot be ended from outside
        if monotonic() > until:
            raise TimeoutError

    try:
        with _bounded(pypdf):
            reader = pypdf.PdfReader(io.BytesIO(content), strict=False)
            if reader.is_encrypted or len(reader.pages) > PAGES_MAX:
                raise RelayError("fapiao_file", param="pdf")
            text = "\n".join(_page_text(page, look) for page in reader.pages)
    except Exception:  # whatever a damaged file makes its reader stumble over
        raise RelayError("fapiao_file", param="pdf") from None
    # some fonts' tables make a zero of a gap; heaps of combining marks are slow to normalise
    plain = str(text)[:TEXT_CHARS_MAX].replace("\0", "")
    return "".join(each for each in plain if not combining(each))
