"""The legal vault: copies of what must outlive its account, and no more of it than that.

Law: a copy holds the listed fields of its kind alone; whatever else a row has is left behind. It
is sealed under the key of the year in which it ends, which is destroyed when that year is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.retention import year_of

VaultKind = Literal["order", "invoice", "consent", "dispute"]
Value = str | int | bool | None

FIELDS: Final[Mapping[VaultKind, frozenset[str]]] = {
    "order": frozenset({
        "id", "partner", "state", "amount_minor", "refunded_minor", "currency", "trade",
        "created_at_ms", "paid_at_ms"}),
    "invoice": frozenset({
        "id", "number", "kind", "state", "title", "tax_number", "amount_nano", "tax_nano",
        "currency", "order", "issued_at_ms", "reverses"}),
    "consent": frozenset({
        "number", "item", "act", "document", "version", "digest", "language", "channel", "at_ms"}),
    "dispute": frozenset({
        "id", "order_id", "state", "amount_minor", "opened_at_ms", "closed_at_ms"}),
}
"""The fields that survive, by kind (facts of the contract, of accounting, of a consent)."""
CATEGORY: Final[Mapping[VaultKind, str]] = {
    "order": "orders", "invoice": "invoices", "consent": "consents", "dispute": "orders"}
"""The category of core/retention.py whose term a kind has."""


@dataclass(frozen=True, slots=True)
class Item:
    """One copy. `content` has the kind's fields; `until_ms` is its end."""

    id: str
    account: str
    kind: VaultKind
    until_ms: int
    stored_at_ms: int
    content: Mapping[str, Value] = field(repr=False)

    @property
    def owner(self) -> str:
        """Whose data key seals it."""
        return owner(self.until_ms)


def owner(until_ms: int) -> str:
    """The data key of what ends at this moment."""
    return f"vault:{year_of(until_ms)}"


def kept(kind: VaultKind, row: Mapping[str, Value]) -> dict[str, Value]:
    """What of a row goes into the vault."""
    return {name: row[name] for name in sorted(FIELDS[kind] & row.keys())}
