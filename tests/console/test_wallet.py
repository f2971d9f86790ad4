"""What is left and what moved it, on a page and for programs."""

from __future__ import annotations

import pytest

from relayd.control import grant, usage, wallet
from relayd.control.grant import Credit
from relayd.core.actor import SHELL
from relayd.core.posting import SIDES, move
from relayd.console.texts import texts
from relayd.store import posting as store_posting
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.fakes.records import call_record


async def spend(console: Console, who: Person) -> None:
    """Ten units paid, three given, four used: three of them of what was given."""
    async with console.db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", "order:1:credited", 10 ** 10, "USD", account=who.account, partner="card"),
            NOW_MS)
        await grant.give(transaction, who.account, Credit(3 * 10 ** 9, "USD"), "operator", NOW_MS)
    await usage.post(console.db, [call_record(
        account=who.account, started_at_ms=NOW_MS, amount_nano=4 * 10 ** 9)])
    await wallet.set_credit(console.db, who.account, "USD", "2.5", NOW_MS, SHELL)


async def test_what_is_left_counts_calls_that_are_not_charged(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    await spend(console, who)
    answer = await console.get("/api/v1/balance/left", headers=who.bearer)
    assert await answer.json() == [{"currency": "USD", "left": "9.00", "credit": "2.50"}]
    text = await (await console.get("/balance", cookies=who.cookies)).text()
    assert "9.00 USD" in text and "2.50 USD" in text
    other = await person(console.db, NOW_MS, name="other")
    assert await (await console.get("/api/v1/balance/left", headers=other.bearer)).json() == []


@pytest.mark.parametrize("language, words", [("en", "Calls"), ("zh", "调用扣费")])
async def test_movements_by_part(console: Console, language: str, words: str) -> None:
    who = await person(console.db, NOW_MS)
    await spend(console, who)
    await wallet.charge_all(console.db, NOW_MS)
    path = "/balance/movements?currency=USD"
    for part, amounts in (("balance", ["-1.00", "10.00"]), ("promo", ["-3.00", "3.00"])):
        answer = await console.get(f"/api/v1{path}&of={part}", headers=who.bearer)
        assert [each["amount"] for each in await answer.json()] == amounts
        page = await console.get(f"{path}&of={part}&lang={language}", cookies=who.cookies)
        text = await page.text()
        assert all(amount in text for amount in amounts) and words in text
    for wrong in ("currency=usd", "currency=USD&of=clearing", "currency=USD&x=1"):
        answer = await console.get(f"/balance/movements?{wrong}", cookies=who.cookies)
        assert answer.status == 422


def test_every_kind_of_transfer_has_a_word() -> None:
    assert [kind for kind in SIDES if f"wallet.kind_{kind}" not in texts()] == []
