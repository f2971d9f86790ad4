"""E1: whoever is suspended or terminated is told why on every page, with the way to appeal."""

from __future__ import annotations

from relayd.control import account, exposure, key, session, standing
from relayd.control.standing import Grounds
from relayd.core.actor import SHELL
from relayd.core.exposure import Exposure
from tests.console.doors import EMAIL, PASSWORD, OpenConsole, opened
from tests.console.people import BROWSER

__all__ = ["opened"]


async def test_E1_the_console_says_why(opened: OpenConsole) -> None:
    await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    assert "is suspended" not in await (await opened.get("/overview")).text()
    grounds = Grounds("payment", opened.origin, "an internal remark")
    await standing.move(opened.db, SHELL, EMAIL, "suspend", grounds, opened.now_ms)
    shown = await (await opened.get("/overview")).text()
    assert "is suspended, because a payment is open" in shown and "internal" not in shown
    assert 'href="/privacy/tickets"' in shown
    assert "该账户已被暂停" in await (await opened.get("/overview?lang=zh")).text()
    assert (await opened.get("/privacy/tickets")).status == 200
    await standing.move(opened.db, SHELL, EMAIL, "resume", grounds, opened.now_ms)
    assert "is suspended" not in await (await opened.get("/overview")).text()
    await standing.move(opened.db, SHELL, EMAIL, "terminate", grounds, opened.now_ms)
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    shown = await (await opened.get("/privacy")).text()
    assert "is terminated, because" in shown
    assert (await opened.get("/privacy/tickets")).status == 200


async def test_D1_an_exposed_key_is_told_until_it_is_replaced(opened: OpenConsole) -> None:
    await opened.signed_up()
    await opened.form("/sign-in", {"login": EMAIL, "password": PASSWORD})
    [owner] = await account.listing(opened.db)
    made = (await key.create(opened.db, owner.id, key.KeyWish("mine"), opened.now_ms)).key
    seen = Exposure(made.id, owner.id, opened.now_ms)
    assert "without TLS" not in await (await opened.get("/overview")).text()
    await exposure.flag(opened.db, [seen], opened.origin, opened.now_ms)
    shown = await (await opened.get("/overview")).text()
    assert "Sent without TLS" in shown and made.hint in shown and 'href="/keys"' in shown
    await key.revoke(opened.db, made.id, opened.now_ms)
    assert "without TLS" not in await (await opened.get("/overview")).text()


async def test_who_is_half_signed_in_is_told_nothing_of_the_account(opened: OpenConsole) -> None:
    await opened.signed_up()
    [owner] = await account.listing(opened.db)
    made = (await key.create(opened.db, owner.id, key.KeyWish("mine"), opened.now_ms)).key
    await exposure.flag(opened.db, [Exposure(made.id, owner.id, opened.now_ms)], opened.origin,
                        opened.now_ms)
    grounds = Grounds("payment", opened.origin, "words")
    await standing.move(opened.db, SHELL, EMAIL, "suspend", grounds, opened.now_ms)
    for stage in ("open", "factor"):
        async with opened.db.writing() as transaction:
            half = await session.start(
                transaction, owner.id, "password", BROWSER, opened.now_ms, stage=stage)
        shown = await (await opened.get("/legal", cookies={"rd_sid": half.token})).text()
        assert (made.hint in shown, "is suspended" in shown) == (stage == "open",) * 2
