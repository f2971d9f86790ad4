"""`[invoices]` as values: the tax of invoices, and how fapiao are issued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.vat import Vat

FapiaoWay = Literal["off", "manual", "demo"]
FAPIAO_WAYS: Final[tuple[FapiaoWay, ...]] = ("off", "manual", "demo")


@dataclass(frozen=True, slots=True)
class InvoicesConfig:
    """`vat_rate` counts hundredths of a percent. `fapiao_days`: how long after its payment an
    order can be applied for; `item`, `category`: the platform's name and number of what is sold.
    `close_hours`: how long after its end a month is closed by itself; 0: by hand alone.
    """

    vat_rate: int = 0
    vat_inclusive: bool = True
    fapiao: FapiaoWay = "off"
    fapiao_days: int = 360
    item: str = "*信息技术服务*信息服务费"
    category: str = ""
    close_hours: int = 0

    @property
    def vat(self) -> Vat:
        """The tax that invoices carry."""
        return Vat(self.vat_rate, self.vat_inclusive)
