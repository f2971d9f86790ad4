"""Consents: what can be agreed to, item by item, and what an account's history of it says.

Law: one item, one decision; nothing is bundled and nothing is agreed to by silence, save what a
row calls `accepted_by_use`. The ledger only grows: withdrawing is another row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Act = Literal["explicit", "accepted_by_use", "withdrawn"]
Channel = Literal["console", "api", "mail", "shell", "use"]


@dataclass(frozen=True, slots=True)
class Item:
    """Something to agree to. `document` has its words.

    `required`: without it there is no account. `assumed`: in force until it is withdrawn, because
    it rests on another ground than consent. `later`: not asked for at sign-up; whoever wants it
    finds it in the privacy centre.
    """

    name: str
    document: str
    required: bool = False
    assumed: bool = False
    later: bool = False


def _items(*items: Item) -> dict[str, Item]:
    return {item.name: item for item in items}


ITEMS: Final = _items(
    Item("terms", "terms", required=True),
    Item("privacy", "privacy", required=True),
    # a consent of its own (PIPL article 39): where data is processed
    Item("processing_in_china", "privacy", required=True),
    # routes whose provider is outside China; without it they answer 403
    Item("overseas_routes", "privacy"),
    # routes whose provider may train models on content; without it they answer 403
    Item("training_routes", "privacy"),
    # what application a request says it is of is kept with its record; without it nothing is
    Item("app_attribution", "privacy", later=True),
    Item("product", "privacy"),
    Item("marketing", "privacy"),
    # figures of use in sums over many accounts; may be objected to
    Item("improve", "privacy", assumed=True),
)
REQUIRED: Final = tuple(item.name for item in ITEMS.values() if item.required)


@dataclass(frozen=True, slots=True)
class Served:
    """The words that somebody agreed to, as they were served."""

    document: str
    version: int
    digest: str
    lang: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Consent:
    """One row of the ledger."""

    account_id: str
    item: str
    act: Act
    served: Served
    at_ms: int


def in_force(item: str, latest: Consent | None) -> bool:
    """Whether an item holds, given the latest row about it."""
    if latest is None:
        return ITEMS[item].assumed
    return latest.act != "withdrawn"


def missing(agreed: Iterable[str]) -> list[str]:
    """The required items that are not among those agreed to."""
    found = frozenset(agreed)
    return [name for name in REQUIRED if name not in found]
