"""The data inventory is what there is: schema, journal, cookies, log, metrics, both ways."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from relayd.console.cookie import COOKIES
from relayd.core.inventory import Inventory
from relayd.core.journal import Mark, Opening
from relayd.core.record import CallRecord
from relayd.core.retention import BY_NAME
from relayd.store import inventory as store_inventory
from relayd.store.db import open_database
from relayd.store.erasure import TABLES
from tests.e2e.test_metrics_page import in_code
from tests.shared import ROOT

SYSTEM = frozenset({"sqlite_sequence"})
"""SQLite's own tables."""
SEALED_BY = re.compile(r"\.(?:un)?seal\(")


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return store_inventory.read()


def listed(inventory: Inventory, place: str) -> set[str]:
    return {field.full_name for field in inventory.fields if field.place == place}


def columns(path: Path) -> set[str]:
    """Every column of a database file."""
    with closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'") if row[0] not in SYSTEM]
        return {f"{table}.{row[1]}" for table in tables
                for row in db.execute(f"SELECT * FROM pragma_table_info('{table}')")}


def blobs(path: Path) -> set[str]:
    """The columns that hold bytes."""
    with closing(sqlite3.connect(path)) as db:
        return {name for name in columns(path)
                for table, column in [name.split(".")]
                for row in db.execute(f"SELECT * FROM pragma_table_info('{table}')")
                if row[1] == column and row[2] == "BLOB"}


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    db = await open_database(tmp_path)
    await db.checkpoint()
    await db.close()
    return tmp_path


@pytest.mark.parametrize("name", ["relayd.db", "keys.db"])
async def test_O1_every_column_is_in_the_inventory(
    store: Path, inventory: Inventory, name: str
) -> None:
    assert columns(store / name) == listed(inventory, name)


async def test_what_is_said_to_be_sealed_or_hashed_is_bytes(
    store: Path, inventory: Inventory
) -> None:
    """And all other bytes are hashes, or signatures that everybody may see."""
    for name in ("relayd.db", "keys.db"):
        forms = {f.full_name: f.form for f in inventory.fields if f.place == name}
        found = blobs(store / name)
        sealed = {each for each, form in forms.items() if form in ("sealed", "wrapped", "index")}
        assert sealed <= found
        assert {forms[each] for each in found} <= {
            "sealed", "wrapped", "index", "hash", "public"}


def struct(prefix: str, kind: type[msgspec.Struct]) -> set[str]:
    return {f"{prefix}.{name}" for name in kind.__struct_fields__}


def test_O1_every_field_of_the_journal_is_in_the_inventory(inventory: Inventory) -> None:
    assert listed(inventory, "journal") == struct("opening", Opening) | struct("mark", Mark) \
        | struct("close", CallRecord)


def test_O1_every_cookie_is_in_the_inventory(inventory: Inventory) -> None:
    assert listed(inventory, "cookie") == {cookie.name for cookie in COOKIES}


def test_O1_every_field_of_the_log_is_in_the_inventory(inventory: Inventory) -> None:
    schema = json.loads((ROOT / "docs" / "log-schema.json").read_text())
    assert listed(inventory, "log") == set(schema["properties"])


def test_O1_every_label_of_the_metrics_is_in_the_inventory(inventory: Inventory) -> None:
    labels = {label for _, _, names, _ in in_code() for label in names}
    assert listed(inventory, "metrics") == labels
    assert not labels & {"account", "account_id", "key", "key_id", "address", "client"}


def test_A1_content_has_no_place(inventory: Inventory) -> None:
    content = [each for each in inventory.categories.values() if each.data_class == "content"]
    assert [each.id for each in content] == ["content"]
    assert inventory.of("content") == () and BY_NAME["content"].default == 0


def test_every_category_is_used(inventory: Inventory) -> None:
    for category in inventory.categories.values():
        assert category.data_class == "content" or inventory.of(category.id), category.id


def test_every_word_is_used(inventory: Inventory) -> None:
    assert {field.form for field in inventory.fields} == set(inventory.forms)
    assert {field.place for field in inventory.fields} == set(inventory.places)
    categories = inventory.categories.values()
    assert {each.term for each in categories} - set(BY_NAME) == set(inventory.terms)
    assert {reader for each in categories for reader in each.readers} == set(inventory.readers)


def test_H1_personal_fields_that_people_wrote_are_sealed(inventory: Inventory) -> None:
    """In clear are what must be compared or shown everywhere, and words of closed lists."""
    clear = {field.full_name for field in inventory.fields
             if field.place in ("relayd.db", "journal") and field.form == "clear"}
    assert clear == {"api_keys.hint", "api_keys.app", "api_keys.models", "call_records.app",
                     "app_rollups.app", "opening.app", "close.app", "orders.page",
                     "erasures.certificate"}


def test_what_an_erasure_does_is_what_the_inventory_says(inventory: Inventory) -> None:
    fates = {(field.full_name): field.erase for field in inventory.fields
             if field.place == "relayd.db"}
    for rule in TABLES:
        for column in rule.emptied:
            wanted = "vault" if rule.fate == "vault" else "empty"
            assert fates[f"{rule.table}.{column}"] == wanted, (rule.table, column)
        if rule.fate != "empty":
            assert fates[f"{rule.table}.{rule.column}"] == rule.fate, rule.table
    emptied = {f"{rule.table}.{column}" for rule in TABLES for column in rule.emptied
               if rule.fate == "empty"}
    assert {name for name, fate in fates.items() if fate == "empty"} == emptied


def test_terms_of_retention_are_those_of_the_table(inventory: Inventory) -> None:
    """Each category of core/retention.py is the term of one here, but for copies of the store."""
    used = {each.term for each in inventory.categories.values()}
    assert set(BY_NAME) - used == {"registrations", "backups"}
