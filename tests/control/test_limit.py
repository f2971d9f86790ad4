"""Own limits: set, shown, taken away; published; copied by a rotation; and what was spent."""

from __future__ import annotations

import orjson
import pytest

from relayd.control import account, audit, key, limit, usage
from relayd.control.key import KeyWish
from relayd.control.publish import load
from relayd.core.actor import Actor
from relayd.core.budget import Spent
from relayd.core.errors import RelayError
from relayd.core.limit import BUDGET_MAX, OwnLimits
from relayd.store.db import Database
from tests.fakes.records import START_MS, call_record

EMAIL = "ann@example.org"


@pytest.fixture
async def issued(db: Database) -> key.Issued:
    await account.create(db, EMAIL, None, START_MS)
    return await key.create(db, EMAIL, KeyWish("laptop"), START_MS)


async def test_limits_are_changed_by_name(db: Database, issued: key.Issued) -> None:
    changed = await limit.change(db, "account", EMAIL, {
        "requests_per_minute": "60", "daily_budget": "2.5"}, START_MS)
    assert changed == (issued.key.account, {
        "requests_per_minute": 60, "daily_budget": 2_500_000_000})
    _, limits = await limit.change(db, "account", EMAIL, {
        "requests_per_minute": "default", "concurrent": "0"}, START_MS)
    assert await limit.show(db, "account", issued.key.account) == (issued.key.account, limits)
    assert limit.view(limits) == {
        "requests_per_minute": None, "tokens_per_minute": None, "concurrent": 0,
        "daily_budget": "2.50", "monthly_budget": None}


async def test_they_are_published_with_the_key(db: Database, issued: key.Issued) -> None:
    before = await load(db)
    assert [grant.limits for grant in before.keys.values()] == [None]
    await limit.change(db, "key", issued.key.id, {"concurrent": "2"}, START_MS)
    after = await load(db)
    assert after.version > before.version
    assert [grant.limits for grant in after.keys.values()] == [OwnLimits({}, {"concurrent": 2})]


async def test_a_rotated_key_keeps_its_limits(db: Database, issued: key.Issued) -> None:
    await limit.change(db, "key", issued.text, {"concurrent": "2"}, START_MS)
    renewed = await key.rotate(db, issued.key.id, 0, START_MS)
    assert await limit.show(db, "key", renewed.text) == (renewed.key.id, {"concurrent": 2})


@pytest.mark.parametrize(("name", "text", "value"), [
    ("concurrent", "0", 0), ("tokens_per_minute", "1000000", 10 ** 6),
    ("monthly_budget", "0.000000001", 1), ("monthly_budget", "100", 10 ** 11),
])
def test_texts_of_values(name: str, text: str, value: int) -> None:
    assert limit.parse(name, text) == value


@pytest.mark.parametrize(("name", "text"), [
    ("concurrent", "-1"), ("concurrent", "1.5"), ("concurrent", ""), ("concurrent", "9" * 13),
    ("concurrent", "\u0663"), ("daily_budget", "1e3"), ("daily_budget", "-1"),
    ("daily_budget", str(BUDGET_MAX)),
])
def test_texts_that_are_no_values(name: str, text: str) -> None:
    with pytest.raises(RelayError) as caught:
        limit.parse(name, text)
    assert (caught.value.code, caught.value.param) == ("invalid_value", name)


async def test_whom_nobody_knows(db: Database) -> None:
    with pytest.raises(RelayError, match="account_not_found"):
        await limit.show(db, "account", EMAIL)
    with pytest.raises(RelayError, match="key_not_found"):
        await limit.change(db, "key", "key_1", {}, START_MS)


async def test_what_was_spent_and_which_calls_are_in_it(
    db: Database, issued: key.Issued
) -> None:
    posted, settled = call_record(amount_nano=5), call_record(amount_nano=7)
    await usage.post(db, [posted])
    assert not await limit.budgeted(db)
    await limit.change(db, "key", issued.key.id, {"daily_budget": "1"}, START_MS)
    assert await limit.budgeted(db)
    reading = await limit.spent(db, None, posted.started_at_ms, lambda: [
        (r.started_at_ms, r.id) for r in (posted, settled)])
    assert [row.spent for row in reading.rows["acct_1"]] == [Spent(5, 5)]
    assert reading.known == {posted.id} and reading.now_ms == posted.started_at_ms


async def test_a_change_is_in_the_audit_log(db: Database, issued: key.Issued) -> None:
    await limit.change(db, "key", issued.key.id, {
        "concurrent": "2", "daily_budget": "default"}, START_MS, Actor("acct_9"))
    await limit.change(db, "account", EMAIL, {"daily_budget": "1"}, START_MS)
    found = [(each.event.action, each.event.actor, each.event.target,
              orjson.loads(each.event.details)) async for each in audit.listing(db)][2:]
    assert found == [
        ("limit.change", "acct_9", issued.key.account,
         {"key": issued.key.id, "concurrent": 2, "daily_budget": None}),
        ("limit.change", None, issued.key.account, {"daily_budget": 1_000_000_000})]
