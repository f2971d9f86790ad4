"""What the file of an issued fapiao says, and whether it is the one that was applied for.

Law: every field that the file has is compared, and a field that its format must have and has not
is a difference. Names are compared in one form of width, brackets and space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from relayd.core.amount_words import NEGATIVE, amount_words
from relayd.core.currency import minor_text, parse_minor
from relayd.core.errors import RelayError
from relayd.core.fapiao import CURRENCY, NUMBER, Fapiao, FapiaoKind

_NUMBERS: Final = re.compile(r"(?<![0-9A-Z])[0-9]{20}(?![0-9A-Z])", re.ASCII)
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY: Final = re.compile(r"([0-9]{4})年([0-9]{2})月([0-9]{2})日")
_WORD_DIGIT: Final = "[零壹贰叁肆伍陆柒捌玖拾佰仟万亿]"
AMOUNTS: Final = ("net_minor", "tax_minor", "total_minor")


class Issued(NamedTuple):
    """One issued fapiao, field by field. None: the format does not say it.

    `words`: the total in upper-case Chinese. A red one names the blue one that it takes back.
    """

    number: str
    issued_on: str
    red: bool
    net_minor: int
    tax_minor: int
    total_minor: int
    seller_uscc: str | None
    buyer_uscc: str | None
    seller_name: str | None = None
    buyer_name: str | None = None
    kind: FapiaoKind | None = None
    words: str | None = None
    blue_number: str | None = None
    confirmation: str | None = None


def signed_minor(text: str) -> int:
    """Fen of `-12.30` or `¥12.30`. Raises `fapiao_file` where it is no amount."""
    plain = unicodedata.normalize("NFKC", text).strip().replace(",", "").lstrip("¥￥")
    sign = -1 if plain.startswith("-") else 1
    minor = parse_minor(plain.removeprefix("-").lstrip("¥￥"), CURRENCY)
    if minor is None:
        raise RelayError("fapiao_file", param="amount")
    return sign * minor


def wanted(
    made: Fapiao, seller: Mapping[str, str], blue: Fapiao | None = None,
) -> Issued:
    """What the file for an application has to say; number and date are the platform's."""
    return Issued(
        number="", issued_on="", red=blue is not None, net_minor=made.taxed.net,
        tax_minor=made.taxed.tax, total_minor=made.taxed.total,
        seller_uscc=seller.get("uscc", ""), buyer_uscc=made.buyer.get("uscc", ""),
        seller_name=seller.get("name_zh") or seller.get("name", ""),
        buyer_name=made.buyer.get("name", ""), kind=made.kind,
        words=amount_words(made.amount_minor),
        blue_number=blue.number if blue else None, confirmation=made.confirmation)


def difference(says: Issued, want: Issued) -> str | None:
    """The name of the first field in which a file differs from what it has to say."""
    if not NUMBER.fullmatch(says.number):
        return "number"
    if not _is_day(says.issued_on):
        return "issued_on"
    for name in ("red", *AMOUNTS, "seller_uscc", "buyer_uscc", "seller_name", "buyer_name",
                 "kind", "words", "blue_number", "confirmation"):
        said, should = getattr(says, name), getattr(want, name)
        # a person's number is theirs to tell the platform
        if said is None or should is None or (name == "buyer_uscc" and not should):
            continue
        if _folded(said) != _folded(should):
            return name
    return None


def _is_day(text: str) -> bool:
    try:
        return _ISO_DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _folded(value: object) -> object:
    if not isinstance(value, str):
        return value
    plain = "".join(unicodedata.normalize("NFKC", value).split())
    plain = plain.replace("元", "圆").replace("正", "整")
    return plain.upper()


def _numbers(text: str) -> set[str]:
    """Numbers of 20 digits in a text; some writers set each character apart."""
    found = set(_NUMBERS.findall(text))
    if not found:
        found = {number for line in text.splitlines()
                 for number in _NUMBERS.findall("".join(line.split()))}
    return found


def _stands(amount: str, text: str) -> bool:
    """Whether an amount is one of a text's, and no part of a longer one (12.34 of 112.34)."""
    plain = unicodedata.normalize("NFKC", text)
    whole = re.compile(rf"(?<![0-9.,-]){re.escape(amount)}(?![0-9])")
    return any(whole.search(line) or whole.search("".join(line.split()))
               for line in plain.splitlines())


def from_text(text: str, want: Issued) -> Issued:
    """What the text of a printed fapiao says: each value that it has to have and has, as it should
    be, else nothing. Raises `fapiao_file` where there is not one number and one date."""
    plain = str(_folded(text))
    numbers = _numbers(unicodedata.normalize("NFKC", text)) - {
        want.blue_number, want.confirmation}
    days = _DAY.findall(plain)
    if len(numbers) != 1 or not days:
        raise RelayError("fapiao_file", param="number")

    def has(value: str | None) -> bool:
        return bool(value) and str(_folded(value)) in plain

    values: dict[str, Any] = {
        name: getattr(want, name) if _stands(
            minor_text(getattr(want, name), CURRENCY), text) else 0
        for name in AMOUNTS}
    values |= {
        name: getattr(want, name) if has(getattr(want, name)) else ""
        for name in ("seller_uscc", "buyer_uscc", "seller_name", "buyer_name")}
    words = str(_folded(want.words or ""))
    values["words"] = want.words if words and re.search(
        f"(?<!{_WORD_DIGIT}){re.escape(words)}", plain) else ""
    red = want.red if (str(_folded(NEGATIVE)) in plain) == want.red else not want.red
    return Issued(number=numbers.pop(), issued_on="-".join(days[0]), red=red, **values)
