"""The legal vault: a whitelist of fields, the key of the year in which something ends."""

from __future__ import annotations

import pytest

from relayd.core.retention import BY_NAME, year_end_ms
from relayd.core.vault import CATEGORY, FIELDS, Item, VaultKind, kept, owner

PERSONAL = ("email", "name", "username", "password", "address", "payer_id", "note", "phone")


@pytest.mark.parametrize("kind", list(FIELDS))
def test_E3_only_listed_fields_survive(kind: VaultKind) -> None:
    row = {name: "kept" for name in FIELDS[kind]} | {name: "canary" for name in PERSONAL}
    assert kept(kind, row) == dict.fromkeys(FIELDS[kind], "kept")
    assert kept(kind, {}) == {}


def test_E3_nothing_but_what_must_survive() -> None:
    assert set(FIELDS) == set(CATEGORY) == {"order", "invoice", "consent", "dispute"}
    assert {BY_NAME[name].floor > 1000 for name in CATEGORY.values()} == {True}


def test_a_year_s_key_seals_what_ends_in_it() -> None:
    assert owner(year_end_ms(2028)) == "vault:2029"
    assert owner(year_end_ms(2028) - 1) == "vault:2028"
    item = Item("v", "acct_1", "invoice", year_end_ms(2028), 0, {"title": "Canary Ltd"})
    assert item.owner == "vault:2029" and "Canary" not in repr(item)
