"""No list of the console has anybody's address: there is no export of everybody to be sold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relayd.console import pages
from relayd.core.actor import ROLES, Role
from relayd.ops.config import Config
from relayd.store.db import open_database
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person

LISTS = [route for route in pages.ROUTES
         if route.method == "GET" and "{" not in route.path and route.access.kind == "operator"]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    db = await open_database(tmp_path / "store")
    made = Console(db, Config(providers={}, routes=()))
    await made.start()
    yield made
    await made.stop()
    await db.close()


@pytest.mark.parametrize("role", ROLES)
async def test_S1_no_operator_s_list_has_anybody_s_address(console: Console, role: Role) -> None:
    for number in range(3):
        await person(console.db, NOW_MS, name=f"zeisig.{number}")
    who = await person(console.db, NOW_MS, role, name="operator", two_factors=True)
    looked = 0
    for route in LISTS:
        if role not in route.access.roles:
            continue
        headers = who.bearer if route.is_api else {}
        cookies = {} if route.is_api else who.cookies
        async with console.http.get(
                console.origin + route.path, headers=headers, cookies=cookies) as answer:
            text = await answer.text()
        assert answer.status in (200, 400, 404, 422), route.path
        assert "zeisig" not in text.lower(), route.path
        looked += answer.status == 200
    assert looked > 2
