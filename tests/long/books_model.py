"""What holders' money should be, counted by other means than the ledger's: plain sums, a list of
credit, and what calls cost that nobody has charged yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass
class Credit:
    """Credit that was given, and what is left of it."""

    id: str
    nano: int
    left: int
    source: str
    created_ms: int
    expires_ms: int | None


@dataclass
class Holder:
    """One holder's money: by kind of ledger account, credit, use and how much of it is charged."""

    kinds: Counter[str] = field(default_factory=Counter)
    # what nothing is left of is dropped
    credit: list[Credit] = field(default_factory=list)
    used: int = 0
    charged: int = 0

    def copy(self) -> Holder:
        return Holder(Counter(self.kinds), [replace(each) for each in self.credit], self.used,
                      self.charged)

    @property
    def left(self) -> int:
        """What may be spent."""
        return self.kinds["balance"] + self.promo - (self.used - self.charged)

    @property
    def promo(self) -> int:
        return sum(each.left for each in self.credit)

    def move(self, moves: dict[str, int]) -> None:
        self.kinds.update(moves)

    def charge(self) -> None:
        """Credit pays first, what ends first before what stays; money pays the rest."""
        due, self.charged = self.used - self.charged, self.used
        for each in sorted(self.credit, key=lambda credit: (
                credit.expires_ms is None, credit.expires_ms or 0, credit.created_ms, credit.id)):
            part = min(due, each.left)
            each.left -= part
            due -= part
        self.kinds["balance"] -= due
        self.drop()

    def drop(self) -> None:
        self.credit = [each for each in self.credit if each.left]

    def give(self, row: tuple[Any, ...]) -> None:
        """A grant as the store has it, of which nothing is spent."""
        name, nano, source, created_ms, expires_ms = row
        self.credit.append(Credit(name, nano, nano, source, created_ms, expires_ms))

    def expire(self, now_ms: int) -> None:
        over = [each for each in self.credit
                if each.left and each.expires_ms is not None and each.expires_ms <= now_ms]
        if over:
            self.charge()
            for each in over:
                each.left = 0
            self.drop()

    def end(self, source: str) -> None:
        for each in self.credit:
            if each.source == source:
                each.left = 0
        self.drop()

    def shown(self) -> dict[str, int]:
        """By kind, as the ledger's balances are; without what is nothing."""
        return {kind: nano for kind, nano in {**self.kinds, "promo": self.promo}.items() if nano}
