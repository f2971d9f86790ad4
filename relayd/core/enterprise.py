"""The enterprise profile: what a company says of itself, for its invoices and fapiao.

Law: only accounts that are marked as an enterprise's have one (I4). A name and a code are always
there; address, telephone and bank are asked for where a special fapiao shall show them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, fields, replace
from typing import Final

from relayd.core.account import check_label
from relayd.core.errors import RelayError
from relayd.core.uscc import check_uscc

CHARS_MAX: Final = {"name": 100, "address": 100, "phone": 30, "bank": 100, "bank_account": 40}
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()-]{4,28}", re.ASCII)
_BANK_ACCOUNT: Final = re.compile(r"[0-9]{6,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Enterprise:
    """A company. Empty texts are not given."""

    name: str = field(repr=False)
    uscc: str = field(repr=False)
    address: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    bank: str = field(default="", repr=False)
    bank_account: str = field(default="", repr=False)

    def checked(self) -> Enterprise:
        """The same with clean texts. Raises `invalid_value` or `invalid_uscc`."""
        made = Enterprise(
            company_name(self.name), check_uscc(self.uscc), _optional(self.address, "address"),
            _optional(self.phone, "phone"), _optional(self.bank, "bank"),
            "".join(unicodedata.normalize("NFKC", self.bank_account).split()))
        if made.phone and not _PHONE.fullmatch(made.phone):
            raise RelayError("invalid_value", param="phone")
        if made.bank_account and not _BANK_ACCOUNT.fullmatch(made.bank_account):
            raise RelayError("invalid_value", param="bank_account")
        if bool(made.bank) != bool(made.bank_account):
            raise RelayError("invalid_value", param="bank_account" if made.bank else "bank")
        return made

    def buyer(self, *, shown: bool) -> dict[str, str]:
        """Its fields as an invoice has them; `shown`: with address, telephone and bank."""
        whole = self if shown else replace(self, address="", phone="", bank="", bank_account="")
        return {each.name: value for each in fields(whole)
                if (value := getattr(whole, each.name))}


def company_name(text: str) -> str:
    """A company's name as names are compared and printed: one form of each bracket.

    Raises `invalid_value`.
    """
    plain = unicodedata.normalize("NFKC", check_label(text, "name", CHARS_MAX["name"]))
    # Chinese names are registered with wide brackets
    if any("\u4e00" <= character <= "\u9fff" for character in plain):
        plain = plain.replace("(", "（").replace(")", "）")
    return check_label(plain, "name", CHARS_MAX["name"])


def _optional(text: str, name: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip()
    return check_label(plain, name, CHARS_MAX[name]) if plain else ""
