"""The daily bills of Alipay and WeChat Pay: tables as text, in a zip or not.

Law: columns are found by their heads, never by their place. Of a line only what it is about, its
amount and its fee are read; payers' accounts, which bills have too, are passed over.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Final

from relayd.core.currency import parse_minor
from relayd.core.errors import RelayError
from relayd.core.statement import LineKind, StatementLine
from relayd.wire.zipped import UNSOUND

UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024
CURRENCY: Final = "CNY"
BEIJING: Final = timezone(timedelta(hours=8))
"""Where both partners count days."""
_ALIPAY: Final = "支付宝交易号"
_WECHAT: Final = "微信订单号"
_ALIPAY_KINDS: Final[dict[str, tuple[LineKind, str]]] = {
    "交易": ("payment", "商户订单号"), "退款": ("refund", "退款批次号/请求号")}
_WECHAT_KINDS: Final[dict[str, tuple[LineKind, str]]] = {
    "SUCCESS": ("payment", "商户订单号"), "REFUND": ("refund", "商户退款单号")}
_WENT: Final = frozenset({"SUCCESS", "PROCESSING"})
_STAYED: Final = frozenset({"FAIL", "CHANGE", "ABNORMAL", "CLOSED", "REFUNDCLOSE", ""})
"""States of WeChat Pay's refunds: those whose money is on its way, and those whose is not."""


def day_start_ms(day: str) -> int:
    """When a day starts there, such as 2026-01-31."""
    return int(datetime.fromisoformat(day).replace(tzinfo=BEIJING).timestamp()) * 1000


def unzipped(data: bytes) -> Iterator[str]:
    """The texts in a zip file, in the encoding that Alipay uses."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(item.file_size for item in archive.infolist()) > UNPACKED_BYTES_MAX:
                raise RelayError("partner_failed")
            for item in archive.infolist():
                yield archive.read(item).decode("gb18030")
    except UNSOUND:
        raise RelayError("partner_failed") from None


def alipay_lines(text: str) -> list[StatementLine]:
    """The lines of an Alipay bill (业务明细); none where the text is another table."""
    found = []
    for row in _rows(text, _ALIPAY):
        kind, reference = _about_what(row, "业务类型", _ALIPAY, _ALIPAY_KINDS)
        found.append(StatementLine(
            kind, reference, CURRENCY,
            abs(_minor(row["订单金额（元）"])), -_minor(row["服务费（元）"])))
    return found


def wechat_lines(text: str) -> list[StatementLine]:
    """The lines of a WeChat Pay bill of all trades."""
    found = []
    for row in _rows(text, _WECHAT):
        kind, reference = _about_what(row, "交易状态", _WECHAT, _WECHAT_KINDS)
        state = row["退款状态"]
        amount = "申请退款金额" if kind == "refund" else "订单金额"
        if kind == "refund" and state in _STAYED:
            continue
        if kind == "refund" and state not in _WENT:
            kind, reference = "other", f"{row['交易状态']}.{state}:{reference}"
        found.append(StatementLine(
            kind, reference, row["货币种类"],
            _minor(row[amount]),
            _minor(row["手续费"])))
    return found


def _about_what(
    row: dict[str, str], word: str, trade: str, kinds: dict[str, tuple[LineKind, str]],
) -> tuple[LineKind, str]:
    """A row's kind, and what it is about: by its word for it, if that is known."""
    kind, column = kinds.get(row[word], ("other", ""))
    return (kind, row[column]) if column else (kind, f"{row[word]}:{row[trade]}")


def _rows(text: str, head: str) -> Iterator[dict[str, str]]:
    """The rows below the line with this head, up to what is no row of the table any more."""
    names: list[str] = []
    for cells in _cells(text):
        # a backtick or a tab in front keeps spreadsheets from taking ids for numbers
        row = [cell.strip("`\t \ufeff") for cell in cells]
        if head in row:
            names = row
        elif names and len(row) < len(names):
            return
        elif names:
            yield dict(zip(names, row))


def _cells(text: str) -> Iterator[list[str]]:
    """The rows of the table; a return alone ends no line. Where a backtick begins each cell, as in
    WeChat Pay's, a comma before none is a part of one: of what goods are called, say."""
    plain = text.replace("\r\n", "\n").replace("\r", " ")
    if "\n`" in plain:
        yield from (line.split(",`" if line.startswith("`") else ",")
                    for line in plain.split("\n"))
        return
    try:
        yield from csv.reader(io.StringIO(plain))
    except csv.Error:
        raise RelayError("partner_failed") from None


def _minor(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    minor = parse_minor(text.lstrip("+-"), CURRENCY)
    if minor is None:
        raise RelayError("partner_failed")
    return sign * minor
