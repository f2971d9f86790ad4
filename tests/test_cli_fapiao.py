"""The commands of the bookkeeper's desk."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from relayd.control import account, fapiao
from relayd.control.fapiao import Offer, Wish
from relayd.control.invoice import Seller
from relayd.core.actor import SHELL
from relayd.core.operator import Operator
from relayd.core.order import Order
from relayd.core.vat import Vat
from relayd.store import order as store_order
from relayd.store.db import open_database
from relayd.wire.fapiao import read_xml, write_xml
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"
CONFIG = """
[operator]
name = "Seller Ltd"
uscc = "91330100799655058B"
[invoices]
vat_rate = "6"
fapiao = "manual"
"""
SELLER = Seller(Operator(name="Seller Ltd", uscc="91330100799655058B"), Vat(600))


async def applied(directory: Path) -> str:
    now_ms = int(time.time() * 1000)
    db = await open_database(directory)
    who = (await account.find(db, EMAIL)).id
    async with db.writing() as transaction:
        await store_order.insert(transaction, Order(
            "ord_1", who, "alipay", "CNY", 12345, "credited", now_ms, now_ms + 1, trade="t",
            paid_at_ms=now_ms), None, None)
    made = await fapiao.apply(db, SHELL, who, Wish(("ord_1",), title="王小明"),
                              Offer(SELLER, 360), now_ms)
    await db.close()
    return made.id


@pytest.fixture
def desk(shell: Shell) -> tuple[Shell, str]:
    shell.config.write_text(shell.config.read_text() + CONFIG)
    shell.json("accounts", "create", "--email", EMAIL)
    return shell, asyncio.run(applied(shell.store))


def issued(desk: Shell, made: str, number: str, path: Path) -> Path:
    text = desk("fapiao", "xml", made).out.strip().encode()
    path.write_bytes(write_xml(read_xml(text)._replace(number=number, issued_on="2026-11-29")))
    return path


def test_from_the_application_to_the_red_letter(
    desk: tuple[Shell, str], tmp_path: Path
) -> None:
    run, made = desk
    [listed] = run.json("fapiao", "list", "--state", "submitted")
    assert listed["id"] == made and "buyer" not in listed
    assert run("fapiao", "take", made).out == f"{made} is reviewing.\n"
    out = run("fapiao", "export").out
    assert "王小明" in out and "123.45" in out
    [row] = run.json("fapiao", "export")
    assert row["total"] == "123.45"
    path = issued(run, made, "2" * 20, tmp_path / "one.xml")
    assert run("fapiao", "import", made, str(path)).out == (
        f"{made} is issued: {'2' * 20} of 2026-11-29.\n")
    assert '"王小明"' in run("fapiao", "show", made).out
    assert run.json("fapiao", "show", made)["id"] == made
    assert "2" * 20 in run("fapiao", "list").out
    red = run("fapiao", "reverse", made, "--amount", "23.45", "--reason", "03").out.split()[0]
    assert run("fapiao", "confirm", red, "3" * 20).out == f"{red} is red_confirming.\n"
    path = issued(run, red, "4" * 20, tmp_path / "red.xml")
    assert run("fapiao", "import", red, str(path)).code == 0
    [blue] = run.json("fapiao", "list", "--state", "part_reversed")
    assert blue["id"] == made


def test_what_is_refused(desk: tuple[Shell, str], tmp_path: Path) -> None:
    run, made = desk
    assert run("fapiao", "import", made, str(tmp_path / "nothing")).code == 2
    wrong = tmp_path / "wrong.xml"
    wrong.write_bytes(b"hello")
    assert run("fapiao", "import", made, str(wrong)).code == 2
    assert run("fapiao", "reverse", made, "--amount", "x", "--reason", "03").code == 2
    assert run("fapiao", "reject", made).code == 2
    assert run("fapiao", "reject", made, "--reason", "title").out == f"{made} is rejected.\n"
    assert run("fapiao", "take", "fap_x").code == 2


def test_companies(desk: tuple[Shell, str]) -> None:
    run, _ = desk
    assert run("fapiao", "enterprise", EMAIL).out.endswith("is a company's account.\n")
    assert run("fapiao", "enterprise", EMAIL, "--off").out.endswith("no company's account.\n")


def test_what_the_xml_says(desk: tuple[Shell, str]) -> None:
    run, made = desk
    says = read_xml(run("fapiao", "xml", made).out.strip().encode())
    assert says.buyer_name == "王小明" and says.total_minor == 12345
