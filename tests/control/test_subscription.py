"""Subscriptions: fees are paid or not, allowances come and go with their periods."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from relayd.control import account, alert, audit, grant, mail, publish, subscription, usage, wallet
from relayd.core.actor import SHELL, SYSTEM
from relayd.core.errors import RelayError
from relayd.core.plan import Plan
from relayd.core.posting import LedgerAccount, move
from relayd.core.subscription import DUNNING_DAYS
from relayd.core.timestamp import rfc3339
from relayd.store import grant as store_grant
from relayd.store import posting as store_posting
from relayd.store import subscription as store_subscription
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record

EMAIL = "ann@example.org"
DAY = 86_400_000
TEAM = Plan("team", period="month", fee_nano=310, allowance_nano=400)
LARGE = Plan("large", period="month", fee_nano=620, allowance_nano=900)
PLANS = {"team": TEAM, "large": LARGE, "cheap": Plan("cheap", 500_000)}


async def made(db: Database, nano: int = 0) -> str:
    owner = (await account.create(db, EMAIL, None, START_MS)).id
    if nano:
        await top_up(db, owner, nano)
    return owner


async def top_up(db: Database, owner: str, nano: int, cause: str = "first") -> None:
    async with db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", cause, nano, "USD", account=owner, partner="p"), START_MS)


async def has(db: Database, owner: str) -> tuple[int, int]:
    """(balance, promo); the books must be right."""
    async with db.reading() as transaction:
        assert await store_posting.wrong(transaction) == []
        assert await store_grant.wrong(transaction) == []
        balance, promo = [await store_posting.balance(
            transaction, LedgerAccount(kind, owner, "USD"))
            for kind in ("balance", "promo")]  # type: ignore[arg-type]
        return balance, promo


async def mails(db: Database) -> Counter[str]:
    async with db.reading() as transaction:
        rows = await transaction.rows("SELECT kind FROM outbox")
    return Counter(row[0] for row in rows)


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def start(db: Database, owner: str, name: str = "team", now_ms: int = START_MS) -> None:
    await subscription.subscribe(db, owner, name, PLANS, now_ms, SHELL)


async def run(db: Database, now_ms: int, plans: subscription.Plans = PLANS) -> int:
    return await subscription.run_due(db, plans, "https://console.example/plans", now_ms)


async def test_a_fee_is_paid_and_the_allowance_is_given(db: Database) -> None:
    owner = await made(db, 1000)
    version = await publish.policy_version(db)
    await start(db, owner)
    assert await has(db, owner) == (690, 400)
    # a relay that runs is told of it: its prices are the plan's
    assert await publish.policy_version(db) > version
    assert (await publish.load(db)).plans == {owner: "team"}
    for later in (0, DAY):
        assert await refused(start(db, owner, now_ms=START_MS + later)) == "subscription_state"
    assert await has(db, owner) == (690, 400)


async def test_without_money_there_is_none(db: Database) -> None:
    owner = await made(db, 309)
    assert await refused(start(db, owner)) == "balance_short"
    assert await has(db, owner) == (309, 0) and await subscription.find(db, owner) is None
    for name in ("cheap", "nothing"):
        assert await refused(start(db, owner, name)) == "plan_not_found"
        assert await refused(
            subscription.quote(db, owner, name, PLANS, START_MS)) == "plan_not_found"


async def test_calls_that_are_not_charged_yet_pay_no_fee_twice(db: Database) -> None:
    owner = await made(db, 310)
    await usage.post(db, [call_record(account=owner, amount_nano=1)])
    assert await refused(start(db, owner)) == "balance_short"


async def test_it_renews_with_a_word_before(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    await usage.post(db, [call_record(account=owner, amount_nano=100)])
    assert await run(db, found.end_ms - 8 * DAY) == 0
    assert await run(db, found.end_ms - 7 * DAY) == 1 and await run(db, found.end_ms - 1) == 0
    assert (await mails(db))["subscription_renews"] == 1
    [told] = [each.letter.fields for each in await mail.due(db, found.end_ms, 9)
              if each.mail.kind == "subscription_renews"]
    assert (told["plan"], told["amount"], told["at"]) == (
        "team", "0.00000031 USD", rfc3339(found.end_ms)[:10])
    assert await run(db, found.end_ms) == 1
    # the old allowance is ended by its own time, the new one is there
    await grant.expire(db, found.end_ms)
    assert await has(db, owner) == (380, 400)
    later = await subscription.find(db, owner)
    assert later is not None and (later.start_ms, later.state) == (found.end_ms, "active")
    # the next word comes as long before the next end
    assert await run(db, later.end_ms - 8 * DAY) == 0
    assert await run(db, later.end_ms - 7 * DAY) == 1
    assert (await mails(db))["subscription_renews"] == 2


async def test_after_weeks_in_which_nothing_ran_there_is_time_to_pay(db: Database) -> None:
    owner = await made(db, 310)
    await start(db, owner)
    now_ms = START_MS + 50 * DAY
    for _ in range(5):
        await run(db, now_ms)
    found = await subscription.find(db, owner)
    assert found is not None and found.state == "past_due"
    assert (await mails(db))["fee_unpaid"] == 1
    [told] = [each.letter.fields for each in await mail.due(db, now_ms, 9)
              if each.mail.kind == "fee_unpaid"]
    assert (told["plan"], told["amount"], told["at"]) == (
        "team", "0.00000031 USD", rfc3339(now_ms + DAY)[:10])
    await top_up(db, owner, 310, "second")
    await run(db, now_ms + DAY)
    found = await subscription.find(db, owner)
    assert found is not None and found.state == "active"


async def test_of_a_fee_that_was_not_paid_nothing_comes_back(db: Database) -> None:
    owner = await made(db, 310)
    plans = {**PLANS, "seat": Plan("seat", period="month", fee_nano=310)}
    first = await subscription.subscribe(db, owner, "seat", plans, START_MS, SHELL)
    for now_ms in (first.end_ms - 7 * DAY, first.end_ms):
        await run(db, now_ms, plans)
    due = await subscription.find(db, owner)
    assert due is not None and due.state == "past_due" and due.start_ms == first.end_ms
    await top_up(db, owner, 1000, "second")
    said = await subscription.quote(db, owner, "large", plans, first.end_ms + DAY)
    assert (said.back_nano, said.has_nano) == (0, 1000)
    await subscription.subscribe(db, owner, "large", plans, first.end_ms + DAY, SHELL)
    assert await has(db, owner) == (1000 - 620, 900)


async def test_who_can_be_read_no_more_keeps_no_other_waiting(db: Database) -> None:
    owners = []
    for number in range(3):
        owners.append((await account.create(db, f"p{number}@example.org", None, START_MS)).id)
        await top_up(db, owners[-1], 1000, f"top up {number}")
        await start(db, owners[-1], now_ms=START_MS + number)
    await db.keyring.destroy(owners[0])
    await run(db, START_MS + 40 * DAY)
    assert [(await has(db, owner))[0] for owner in owners] == [690, 380, 380]


async def test_however_many_can_be_read_no_more(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "DUE_AT_ONCE", 2)
    owners = []
    for number in range(3):
        owners.append((await account.create(db, f"p{number}@example.org", None, START_MS)).id)
        await top_up(db, owners[-1], 1000, f"top up {number}")
        await start(db, owners[-1], now_ms=START_MS + number)
    await db.keyring.destroy(*owners[:2])
    now_ms = START_MS + 40 * DAY
    for _ in range(3):
        await run(db, now_ms)
    assert [(await has(db, owner))[0] for owner in owners] == [690, 690, 380]
    async with db.reading() as transaction:
        found = await store_subscription.due(transaction, now_ms + subscription.UNREAD_MS, 9)
    assert {each.account for each in found} == set(owners[:2])


async def test_a_fee_that_cannot_be_paid_is_asked_for_again_and_then_no_more(db: Database) -> None:
    owner = await made(db, 310)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    await run(db, found.end_ms - 7 * DAY)
    await run(db, found.end_ms)
    due = await subscription.find(db, owner)
    assert due is not None and due.state == "past_due"
    for day in DUNNING_DAYS:
        assert await run(db, found.end_ms + day * DAY - 1) == 0
        assert await run(db, found.end_ms + day * DAY) == 1
    ended = await subscription.find(db, owner)
    assert ended is not None and ended.state == "ended"
    assert await mails(db) == {
        "subscription_renews": 1, "fee_unpaid": 4, "subscription_ended": 1}
    assert (await publish.load(db)).plans == {}
    assert await has(db, owner) == (0, 400)


async def test_money_that_comes_in_time_saves_it(db: Database) -> None:
    owner = await made(db, 310)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    await run(db, found.end_ms - 7 * DAY)
    await run(db, found.end_ms)
    await top_up(db, owner, 500, "second")
    await run(db, found.end_ms + DAY)
    saved = await subscription.find(db, owner)
    assert saved is not None and (saved.state, saved.tries) == ("active", 0)
    assert (await has(db, owner))[0] == 190


async def test_a_change_gives_back_what_is_unused(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    await usage.post(db, [call_record(account=owner, amount_nano=150)])
    half = START_MS + (found.end_ms - found.start_ms) // 2
    await start(db, owner, "large", half)
    assert await has(db, owner) == (1000 - 310 + 155 - 620, 900)
    assert (await publish.load(db)).plans == {owner: "large"}


async def test_an_allowance_that_is_used_up_brings_no_fee_back(db: Database) -> None:
    owner = await made(db, 2000)
    used = paid = 0
    for name, allowance, fee in (("team", 400, 310), ("large", 900, 620), ("team", 400, 310)):
        told = await subscription.quote(db, owner, name, PLANS, START_MS + used)
        assert told.back_nano == 0
        await start(db, owner, name, START_MS + used)
        await usage.post(db, [call_record(account=owner, amount_nano=allowance)])
        used, paid = used + allowance, paid + fee
    await wallet.charge_all(db, START_MS)
    assert await has(db, owner) == (2000 - paid, 0)


async def test_half_an_allowance_brings_half_a_fee_back(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    await usage.post(db, [call_record(account=owner, amount_nano=200)])
    assert (await subscription.quote(db, owner, "large", PLANS, START_MS + 1)).back_nano == 155
    await start(db, owner, "large", START_MS + 1)
    assert await has(db, owner) == (1000 - 310 + 155 - 620, 900)


async def test_a_change_that_cannot_be_paid_changes_nothing(db: Database) -> None:
    owner = await made(db, 400)
    await start(db, owner)
    assert await refused(start(db, owner, "large", START_MS + DAY)) == "balance_short"
    assert await has(db, owner) == (90, 400)
    found = await subscription.find(db, owner)
    assert found is not None and found.plan == "team"


async def test_it_is_cancelled_and_kept(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    assert (await subscription.cancel(db, owner, START_MS, SHELL)).state == "ending"
    assert (await subscription.keep(db, owner, START_MS, SHELL)).state == "active"
    ending = await subscription.cancel(db, owner, START_MS, SHELL)
    assert [entry.event.action async for entry in audit.listing(db, target=owner)][-3:] == [
        "subscription.cancel", "subscription.keep", "subscription.cancel"]
    await run(db, ending.end_ms - 7 * DAY)
    await run(db, ending.end_ms)
    assert await mails(db) == {"subscription_ended": 1}
    assert (await has(db, owner))[0] == 690
    assert await refused(subscription.keep(db, owner, START_MS, SHELL)) == "subscription_state"
    assert await refused(subscription.cancel(db, "acct_x", START_MS, SYSTEM)) == (
        "subscription_state")


async def test_one_that_ended_is_begun_again_with_the_same_plan(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    await subscription.cancel(db, owner, START_MS, SHELL)
    found = await subscription.find(db, owner)
    assert found is not None and await run(db, found.end_ms) == 1
    await start(db, owner, now_ms=found.end_ms + DAY)
    again = await subscription.find(db, owner)
    assert again is not None and (again.state, again.start_ms) == ("active", found.end_ms + DAY)
    assert (await has(db, owner))[0] == 1000 - 2 * 310


async def test_terms_that_changed_count_from_the_next_period_on(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    dearer = {**PLANS, "team": replace(TEAM, fee_nano=400)}
    await run(db, found.end_ms - 7 * DAY, dearer)
    await run(db, found.end_ms, dearer)
    later = await subscription.find(db, owner)
    assert later is not None and later.version == dearer["team"].version != found.version
    assert (await has(db, owner))[0] == 290


async def test_a_plan_that_is_gone_ends(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    await run(db, found.end_ms - 7 * DAY, {})
    await run(db, found.end_ms, {})
    assert await mails(db) == {"subscription_ended": 1}
    assert [entry.event.action async for entry in audit.listing(db, target=owner)][-2:] == [
        "plan.change", "subscription.end"]


async def test_an_erased_accounts_ends_without_a_word(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None
    async with db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = 'terminated'")
    await run(db, found.end_ms)
    ended = await subscription.find(db, owner)
    assert ended is not None and ended.state == "ended" and "subscription_ended" not in (
        await mails(db))


async def test_an_operator_assigns_a_plan_without_a_fee(db: Database) -> None:
    owner = await made(db, 1000)
    await subscription.assign(db, EMAIL, "cheap", PLANS, START_MS, SHELL)
    assert await subscription.plans_of(db) == {owner: "cheap"}
    await subscription.assign(db, EMAIL, None, PLANS, START_MS, SHELL)
    assert await subscription.plans_of(db) == {}
    assert [(entry.event.action, entry.event.details) async for entry in audit.listing(
        db, target=owner)][-2:] == [
            ("plan.change", '{"plan":"cheap"}'), ("plan.change", '{"plan":"default"}')]
    for name in ("team", "nothing"):
        assert await refused(subscription.assign(
            db, EMAIL, name, PLANS, START_MS, SHELL)) == "plan_not_found"
    await start(db, owner)
    assert await refused(subscription.assign(
        db, EMAIL, "cheap", PLANS, START_MS, SHELL)) == "subscription_state"


async def test_a_low_balance_is_told_once(db: Database) -> None:
    owner = await made(db, 100)
    await alert.put(db, owner, "USD", "0.00000005")
    assert await alert.tell(db, "https://c/balance", START_MS) == 0
    await usage.post(db, [call_record(account=owner, amount_nano=60)])
    assert [await alert.tell(db, "https://c/balance", START_MS) for _ in range(3)] == [1, 0, 0]
    await top_up(db, owner, 100, "second")
    assert await alert.tell(db, "https://c/balance", START_MS) == 0
    await usage.post(db, [call_record(account=owner, amount_nano=120)])
    assert await alert.tell(db, "https://c/balance", START_MS) == 1
    assert await mails(db) == {"balance_low": 2}
    await alert.put(db, owner, "USD", "0")
    assert await alert.of_account(db, owner) == []
    assert [money.nano for money in await wallet.money(db, EMAIL)] == [20]


async def test_what_a_change_comes_to_is_told_before(db: Database) -> None:
    owner = await made(db, 1000)
    assert await refused(subscription.quote(db, owner, "cheap", PLANS, START_MS)) == (
        "plan_not_found")
    first = await subscription.quote(db, owner, "team", PLANS, START_MS)
    assert (first.back_nano, first.ends_nano, first.has_nano, first.short_nano) == (0, 0, 1000, 0)
    await start(db, owner)
    found = await subscription.find(db, owner)
    assert found is not None and found.end_ms == first.ends_ms
    assert await refused(subscription.quote(db, owner, "team", PLANS, START_MS)) == (
        "subscription_state")
    # 100 of the allowance are used and not charged yet; half of the time is over
    await usage.post(db, [call_record(account=owner, amount_nano=100)])
    later = (found.start_ms + found.end_ms) // 2
    told = await subscription.quote(db, owner, "large", PLANS, later)
    assert (told.back_nano, told.ends_nano, told.has_nano, told.short_nano) == (155, 300, 690, 0)
    await start(db, owner, "large", later)
    assert await has(db, owner) == (690 + 155 - 620, 900)


async def test_what_comes_back_in_another_currency_pays_for_nothing(db: Database) -> None:
    owner = await made(db, 310)
    yuan = {**PLANS, "yuan": replace(LARGE, name="yuan", currency="CNY", fee_nano=50)}
    await start(db, owner)
    told = await subscription.quote(db, owner, "yuan", yuan, START_MS)
    assert (told.back_nano, told.back_currency, told.short_nano) == (310, "USD", 50)
    assert await refused(subscription.subscribe(
        db, owner, "yuan", yuan, START_MS, SHELL)) == "balance_short"
    assert (await subscription.quote(db, owner, "large", PLANS, START_MS)).short_nano == 310


async def test_what_is_missing_is_told(db: Database) -> None:
    owner = await made(db, 310)
    await usage.post(db, [call_record(account=owner, amount_nano=10)])
    told = await subscription.quote(db, owner, "team", PLANS, START_MS)
    assert (told.has_nano, told.short_nano) == (300, 10)


async def test_changes_in_one_millisecond_pay_for_each_allowance(db: Database) -> None:
    owner = await made(db, 1000)
    for name in ("team", "large"):
        await subscription.subscribe(db, owner, name, PLANS, START_MS, SYSTEM)
    assert await refused(subscription.subscribe(
        db, owner, "team", PLANS, START_MS, SYSTEM)) == "subscription_state"
    assert await has(db, owner) == (1000 - 620, 900)
    await subscription.subscribe(db, owner, "team", PLANS, START_MS + 1, SYSTEM)
    assert (await has(db, owner))[1] == 400


async def test_an_allowance_without_a_fee_is_given_once_a_period(db: Database) -> None:
    owner = await made(db, 10_000)
    plans = {"free": replace(TEAM, name="free", fee_nano=0), "large": LARGE}
    for day, name, left in ((0, "free", 400), (1, "large", 900), (2, "free", 0),
                            (3, "large", 900), (30, "free", 0), (32, "large", 900)):
        await subscription.subscribe(db, owner, name, plans, START_MS + day * DAY, SYSTEM)
        assert (await has(db, owner))[1] == left, day
    # the first period is over
    await subscription.subscribe(db, owner, "free", plans, START_MS + 33 * DAY, SYSTEM)
    assert (await has(db, owner))[1] == 400
    # and each renewal gives it
    assert await run(db, START_MS + 64 * DAY, plans) == 1
    assert (await has(db, owner))[1] == 800
    await grant.expire(db, START_MS + 64 * DAY)
    assert (await has(db, owner))[1] == 400


async def test_what_is_left_of_an_allowance_without_a_fee_goes_on_under_another_such_plan(
    db: Database
) -> None:
    owner = await made(db, 10_000)
    plans = {name: replace(TEAM, name=name, fee_nano=0) for name in ("free", "open")}
    plans["yuan"] = replace(plans["free"], name="yuan", currency="CNY")
    plans["large"] = LARGE
    await subscription.subscribe(db, owner, "free", plans, START_MS, SYSTEM)
    await usage.post(db, [call_record(account=owner, amount_nano=150, started_at_ms=START_MS)])
    for day, name, left in ((1, "open", 250), (2, "free", 250), (29, "open", 250)):
        told = await subscription.quote(db, owner, name, plans, START_MS + day * DAY)
        assert (told.ends_nano, told.given_nano) == (250, left)
        await subscription.subscribe(db, owner, name, plans, START_MS + day * DAY, SYSTEM)
        assert (await has(db, owner))[1] == left, day
    # another version of the same plan
    plans["open"] = replace(plans["open"], markup=2_000_000)
    await subscription.subscribe(db, owner, "open", plans, START_MS + 30 * DAY, SYSTEM)
    assert (await has(db, owner))[1] == 250
    # what is of another currency, or had no fee and comes back for one, is another matter
    told = await subscription.quote(db, owner, "yuan", plans, START_MS + 30 * DAY)
    assert told.given_nano == 400
    await subscription.subscribe(db, owner, "large", plans, START_MS + 30 * DAY, SYSTEM)
    told = await subscription.quote(db, owner, "free", plans, START_MS + 30 * DAY + 1)
    assert (told.ends_nano, told.given_nano) == (900, 0)


async def test_a_plan_may_have_any_name(db: Database) -> None:
    owner = await made(db, 1000)
    plans = {"back": replace(TEAM, name="back"), "large": LARGE}
    await subscription.subscribe(db, owner, "back", plans, START_MS, SYSTEM)
    await subscription.subscribe(db, owner, "large", plans, START_MS + 10 * DAY, SYSTEM)
    assert await has(db, owner) == (1000 - 310 + 210 - 620, 900)
