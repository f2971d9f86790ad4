"""Billing does what is due, and takes up again what failed."""

from __future__ import annotations

import asyncio
import io

from relayd.control import account, alert, grant, mail, subscription, usage
from relayd.control.grant import Credit
from relayd.control.posting import balances
from relayd.core.actor import SHELL
from relayd.core.plan import Plan
from relayd.core.posting import move
from relayd.jobs.billing import SETTLED_MS, Billing
from relayd.ops.logging import Logger
from relayd.store import posting
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record

EMAIL = "ann@example.org"


LATER_MS = START_MS + 1 + SETTLED_MS


def job(db: Database, said: io.StringIO | None = None) -> Billing:
    return Billing(db, dict, lambda path: f"https://c{path}", every_seconds=0.01,
                   now_ms=lambda: LATER_MS, log=Logger("info", said))


async def test_credit_expires_and_alerts_are_mailed(db: Database) -> None:
    owner = (await account.create(db, EMAIL, None, START_MS)).id
    await grant.give_to(db, EMAIL, Credit(5, "USD", START_MS + 1), "x", START_MS, SHELL)
    await alert.put(db, owner, "USD", "1")
    work = job(db)
    running = asyncio.create_task(work.run())
    async with asyncio.timeout(5):
        while not await _told(db):
            await asyncio.sleep(0.01)
    await work.stop()
    await running
    assert [each.left_nano for each in await grant.listing(db, owner)] == [0]


async def test_what_was_used_in_its_time_is_paid_from_credit_although_it_comes_behind(
    db: Database
) -> None:
    """A record comes once its call is over and the journal is flushed."""
    owner = (await account.create(db, EMAIL, None, START_MS)).id
    await grant.give_to(db, EMAIL, Credit(5, "USD", START_MS + 100), "x", START_MS, SHELL)
    now_ms = START_MS + 100
    work = Billing(db, dict, lambda path: f"https://c{path}", now_ms=lambda: now_ms)
    await work.look()
    await usage.post(db, [call_record(
        account=owner, amount_nano=3, started_at_ms=START_MS + 99)])
    for now_ms, left in ((START_MS + 99 + SETTLED_MS, 5), (START_MS + 100 + SETTLED_MS, 0)):
        await work.look()
        assert [each.left_nano for each in await grant.listing(db, owner)] == [left]
    [had] = await balances(db, owner)
    assert (had.balance, had.promo) == (0, 0)


async def test_subscriptions_go_on_and_each_mail_leads_to_its_page(db: Database) -> None:
    owner = (await account.create(db, EMAIL, None, START_MS)).id
    await alert.put(db, owner, "USD", "1")
    plans = {"team": Plan("team", period="month", fee_nano=3)}
    async with db.writing() as transaction:
        await posting.post(transaction, move(
            "top_up", "a", 3, "USD", account=owner, partner="p"), START_MS)
    made = await subscription.subscribe(db, owner, "team", plans, START_MS, SHELL)
    work = Billing(db, lambda: plans, lambda path: f"https://c{path}", now_ms=lambda: made.end_ms)
    await work.look()
    await work.look()
    found = await subscription.find(db, owner)
    assert found is not None and (found.state, found.start_ms) == ("past_due", made.end_ms)
    assert {each.mail.kind: each.letter.fields["link"] for each in await mail.due(
        db, made.end_ms, 9)} == {
        "balance_low": "https://c/balance", "fee_unpaid": "https://c/plans"}


async def test_no_credit_expires_for_a_clock_that_is_not_believed(db: Database) -> None:
    async def not_believed(now_ms: int) -> bool:
        return False

    owner = (await account.create(db, EMAIL, None, START_MS)).id
    await grant.give_to(db, EMAIL, Credit(5, "USD", START_MS + 1), "x", START_MS, SHELL)
    work = Billing(db, dict, lambda path: f"https://c{path}", believed=not_believed,
                   now_ms=lambda: LATER_MS)
    await work.look()
    assert [each.left_nano for each in await grant.listing(db, owner)] == [5]


async def _told(db: Database) -> bool:
    async with db.reading() as transaction:
        return await transaction.row("SELECT 1 FROM outbox WHERE kind = 'balance_low'") is not None


async def test_a_store_that_fails_is_asked_again(db: Database) -> None:
    said = io.StringIO()
    work = job(db, said)
    db._closed = True
    await work.look()
    assert work.failures == 1
    assert '"billing_failed","code":"store_failed"' in said.getvalue()
    db._closed = False
    await work.look()
    assert work.failures == 1
