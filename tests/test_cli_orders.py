"""The commands on orders: lists, and refunds that the daemon asks for."""

from __future__ import annotations

import asyncio

import pytest

from relayd.core.order import Order
from relayd.core.posting import move
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.db import open_database
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "holder@example.org"
FULL = 1000 * 10 ** 7


@pytest.fixture
def orders(shell: Shell) -> list[str]:
    """Two of an account: one that is credited, one that waits."""
    who = shell.json("accounts", "create", "--email", EMAIL)["id"]

    async def fill() -> None:
        db = await open_database(shell.store)
        async with db.writing() as transaction:
            for name, state in (("ord_1", "credited"), ("ord_2", "pending")):
                order = Order(name, who, "card", "CNY", 1000, state,  # type: ignore[arg-type]
                              1_800_000_000_000, 1_800_000_100_000, session="cs_1",
                              page=None if state == "credited" else "https://pay.test/secret",
                              trade="pi_1" if state == "credited" else None)
                await store_order.insert(transaction, order, None, None)
            await store_posting.post(transaction, move(
                "top_up", "order:ord_1:credited", FULL, "CNY", account=who, partner="card"), 1)
        await db.close()

    asyncio.run(fill())
    return ["ord_2", "ord_1"]


def test_lists(shell: Shell, orders: list[str]) -> None:
    assert [each["id"] for each in shell.json("orders", "list")] == orders
    [waits] = shell.json("orders", "list", "--state", "pending", "--account", EMAIL)
    assert (waits["id"], waits["amount"], waits["partner"]) == ("ord_2", "10.00", "card")
    assert [each["id"] for each in shell.json("orders", "list", "--before", "ord_2")] == ["ord_1"]
    table = shell("orders", "list")
    assert table.code == 0 and "10.00 CNY" in table.out
    # whoever has the address of the page can pay there
    assert "secret" not in table.out + shell("orders", "list", "--json").out
    assert shell("orders", "list", "--account", "nobody@example.org").code == 2
    assert shell("orders", "list", "--state", "other").code == 2


def test_a_refund_is_held_for_the_daemon(shell: Shell, orders: list[str]) -> None:
    made = shell.json("orders", "refund", "ord_1", "--amount", "2.50", "--reason", "asked for")
    assert (made["order"], made["state"], made["amount"]) == ("ord_1", "pending", "2.50")
    [order] = shell.json("orders", "list", "--state", "refunding")
    assert order["id"] == "ord_1"
    assert shell("ledger", "verify").code == 0
    events = shell.json("audit", "list")
    assert "refund.ask" in str(events)


@pytest.mark.parametrize("words", [
    ("ord_9", "--amount", "1", "--reason", "why"), ("ord_2", "--amount", "1", "--reason", "why"),
    ("ord_1", "--amount", "x", "--reason", "why"), ("ord_1", "--amount", "0", "--reason", "why"),
    ("ord_1", "--amount", "10.01", "--reason", "why"), ("ord_1", "--amount", "1"),
    ("ord_1", "--amount", "1", "--reason", " "),
])
def test_what_is_refused(shell: Shell, orders: list[str], words: tuple[str, ...]) -> None:
    said = shell("orders", "refund", *words)
    assert said.code == 2 and said.err
    assert shell.json("orders", "list", "--state", "refunding") == []


def test_for_people(shell: Shell, orders: list[str]) -> None:
    said = shell("orders", "refund", "ord_1", "--amount", "10", "--reason", "all of it")
    assert said.code == 0 and "off the balance" in said.out
