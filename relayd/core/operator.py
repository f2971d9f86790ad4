"""The operator: who runs this relay, as every page, mail and document names them.

Law: these are declared facts, and shown as such. Nothing is filled in where nothing is declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from relayd.core.errors import RelayError

SERVICE: Final = "relayd"
MAIL_FIELDS: Final = ("email", "text")
"""What a mail server is sent: the address, and what the mail says."""
NEEDED: Final = ("name", "address", "contact", "court")
"""What must be declared before strangers are offered an account."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """Where servers and databases are, as the operator declares it. `since` is a date."""

    provider: str = ""
    region: str = ""
    certificates: tuple[str, ...] = ()
    since: str = ""


@dataclass(frozen=True, slots=True)
class Processor:
    """A third party that helps to run the service, and the fields that it may be sent."""

    name: str
    purpose: str
    fields: tuple[str, ...]
    region: str
    since: str

    def permit(self, fields: Iterable[str]) -> None:
        """Raises RelayError `undeclared_field` where one is not declared."""
        for name in fields:
            if name not in self.fields:
                raise RelayError("undeclared_field", param=name)

    def declared(self, values: Mapping[str, str]) -> dict[str, str]:
        """Of these values, those that the register declares; the others are dropped."""
        return {name: value for name, value in values.items() if name in self.fields}


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever runs the relay. Texts ending in `_zh` are the Chinese ones.

    `service` is what the product is called. The contacts for privacy, security and billing are
    `contact` where they are not declared.
    """

    service: str = SERVICE
    name: str = ""
    name_zh: str = ""
    address: str = ""
    address_zh: str = ""
    uscc: str = ""
    icp: str = ""
    contact: str = ""
    privacy: str = ""
    security: str = ""
    billing: str = ""
    law: str = "the People's Republic of China"
    law_zh: str = "中华人民共和国"
    court: str = ""
    court_zh: str = ""
    hosting: Hosting = Hosting()
    processors: tuple[Processor, ...] = field(default_factory=tuple)

    def lacking(self) -> list[str]:
        """The names of what must be declared and is not."""
        return [name for name in NEEDED if not getattr(self, name)]

    def said(self, name: str, language: str) -> str:
        """A text in a language; the other one where it has none."""
        own = str(getattr(self, f"{name}_zh")) if language == "zh" else ""
        return own or str(getattr(self, name))

    def contact_for(self, purpose: str) -> str:
        """The address for `privacy`, `security` or `billing`."""
        return str(getattr(self, purpose)) or self.contact

    def processor(self, name: str) -> Processor | None:
        """The row of the register with this name."""
        return next((each for each in self.processors if each.name == name), None)
