"""The inventory's file: what it may say, and each way in which it would be wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from relayd.core.inventory import Inventory, InventoryFault, parse
from relayd.core.retention import Terms

WORDS = {"en": "words", "zh": "词"}
FILE: dict[str, Any] = {
    "forms": {"sealed": WORDS, "closed": WORDS},
    "places": {"relayd.db": WORDS, "cookie": WORDS},
    "terms": {"account": WORDS},
    "readers": {"holder": WORDS, "security": WORDS},
    "categories": {
        "content": {"class": "content", "name": WORDS, "data": WORDS, "purpose": WORDS,
                    "term": "content", "readers": []},
        "account": {"class": "personal", "name": WORDS, "data": WORDS, "purpose": WORDS,
                    "term": "account", "readers": ["holder"]},
        "sign_ins": {"class": "personal", "name": WORDS, "data": WORDS, "purpose": WORDS,
                     "term": "sign_ins", "readers": ["holder", "security"]},
    },
    "tables": [
        {"place": "relayd.db", "name": "accounts", "category": "account", "source": "user",
         "export": True, "erase": "empty",
         "fields": {"email": "sealed", "state": "closed auto hidden keep"}},
        {"place": "cookie", "name": "", "category": "sign_ins", "source": "auto",
         "export": False, "erase": "none", "fields": {"rd_lang": "closed user shown"}},
    ],
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    values: Any = copy.deepcopy(FILE)
    at = values
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return values  # type: ignore[no-any-return]


def test_fields_have_their_table_s_words_but_for_their_own() -> None:
    made: Inventory = parse(FILE)
    email, state, lang = made.fields
    assert (email.full_name, email.form, email.source, email.export, email.erase) == (
        "accounts.email", "sealed", "user", True, "empty")
    assert (state.source, state.export, state.erase) == ("auto", False, "keep")
    assert (lang.full_name, lang.source, lang.export) == ("rd_lang", "user", True)
    assert made.of("account") == (email, state)


def test_terms_in_words() -> None:
    made = parse(FILE)
    content, account, sign_ins = made.categories.values()
    assert made.term(account, Terms(), "zh") == "词"
    assert made.term(sign_ins, Terms(), "en") == "190 days"
    assert made.term(sign_ins, Terms({"sign_ins": 200}), "zh") == "200 天"
    assert made.term(content, Terms(), "en") == "not kept"


@pytest.mark.parametrize("values", [
    changed("forms", "sealed", to={"en": "words"}),
    changed("categories", "account", "purpose", to={"en": "x", "zh": ""}),
    changed("categories", "account", "class", to="secretive"),
    changed("categories", "account", "readers", to=["everybody"]),
    changed("categories", "account", "readers", to=[]),
    changed("categories", "account", "term", to="forever"),
    changed("tables", 0, "category", to="nothing"),
    changed("tables", 0, "place", to="elsewhere"),
    changed("tables", 0, "source", to="nobody"),
    changed("tables", 0, "erase", to="burn"),
    changed("tables", 0, "export", to="maybe"),
    changed("tables", 0, "fields", to={"email": "plain"}),
    changed("tables", 0, "fields", to={"email": "sealed sideways"}),
    changed("tables", 1, to=FILE["tables"][0]),
])
def test_faults(values: dict[str, Any]) -> None:
    with pytest.raises(InventoryFault):
        parse(values)


def test_A1_content_may_have_no_place() -> None:
    with pytest.raises(InventoryFault, match="content has no place"):
        parse(changed("tables", 0, "category", to="content"))
