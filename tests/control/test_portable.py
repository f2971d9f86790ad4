"""What can be handed out: every table that the inventory exports has its document."""

from __future__ import annotations

import pytest

from relayd.control import portable
from relayd.control.portable import DOCUMENTS, SCOPES, Span
from relayd.core import portable as core_portable
from relayd.core.lawful import CONTENT
from relayd.core.lawful import SCOPES as WORDS
from relayd.store.db import Database
from tests.fakes.person import make_person
from tests.fakes.records import START_MS


def test_documents_and_their_schema_are_one_list() -> None:
    assert list(DOCUMENTS) == list(core_portable.DOCUMENTS)
    assert {*SCOPES, CONTENT} == set(WORDS)


@pytest.mark.parametrize("name", list(DOCUMENTS))
async def test_only_the_schema_s_fields(db: Database, name: str) -> None:
    who = await make_person(db)
    rows = [row async for row in DOCUMENTS[name](db, who, Span(0, START_MS + 9))]
    fields = set(core_portable.DOCUMENTS[name].fields)
    assert all(set(row) <= fields for row in rows)


async def test_a_span_bounds_what_has_a_time(db: Database) -> None:
    who = await make_person(db)
    for name in ("calls", "network_records", "sign_ins", "orders"):
        rows = [row async for row in DOCUMENTS[name](db, who, Span(0, START_MS))]
        assert rows == []
    assert [row async for row in portable.SCOPES["orders"](db, who, Span(START_MS, START_MS + 1))]
