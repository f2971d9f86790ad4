"""The plan that follows: nothing before the period ends, all of it then."""

from __future__ import annotations

import pytest

from relayd.control import audit, grant, mail, next_plan, publish, subscription
from relayd.core.actor import SHELL
from relayd.core.plan import Plan
from relayd.core.subscription import Subscription
from relayd.store.db import Database
from tests.control.test_subscription import (
    DAY, PLANS, START_MS, has, made, mails, refused, run, start, top_up,
)


async def present(db: Database, owner: str) -> Subscription:
    found = await subscription.find(db, owner)
    assert found is not None
    return found


async def scheduled(db: Database, owner: str, name: str = "large", now_ms: int = START_MS) -> str:
    return (await next_plan.schedule(db, owner, name, PLANS, now_ms, SHELL)).next_plan or ""


async def renews(db: Database) -> list[str]:
    """The plans that mails of a renewal name, the newest first."""
    return [(await mail.show(db, SHELL, each.id, START_MS)).letter.fields["plan"]
            for each in await mail.listing(db) if each.kind == "subscription_renews"]


async def test_it_changes_when_the_period_ends_and_not_before(db: Database) -> None:
    owner = await made(db, 2000)
    await start(db, owner)
    assert await scheduled(db, owner) == "large"
    assert await has(db, owner) == (1690, 400)
    assert (await publish.load(db)).plans == {owner: "team"}
    end_ms = (await present(db, owner)).end_ms
    await run(db, end_ms - 7 * DAY)
    await run(db, end_ms - 1)
    assert (await present(db, owner)).plan == "team" and await has(db, owner) == (1690, 400)
    await run(db, end_ms)
    await grant.expire(db, end_ms)
    found = await present(db, owner)
    assert (found.plan, found.next_plan, found.start_ms) == ("large", None, end_ms)
    assert await has(db, owner) == (1690 - 620, 900)
    assert (await publish.load(db)).plans == {owner: "large"}
    # the period after that is the same plan's
    await run(db, found.end_ms - 7 * DAY)
    await run(db, found.end_ms)
    assert (await present(db, owner)).plan == "large"
    assert (await has(db, owner))[0] == 1690 - 2 * 620


async def test_called_off_the_present_plan_goes_on(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    await scheduled(db, owner)
    assert (await next_plan.drop(db, owner, START_MS + 1, SHELL)).next_plan is None
    assert await refused(next_plan.drop(db, owner, START_MS + 2, SHELL)) == "subscription_state"
    end_ms = (await present(db, owner)).end_ms
    await run(db, end_ms - 7 * DAY)
    await run(db, end_ms)
    assert (await present(db, owner)).plan == "team" and (await has(db, owner))[0] == 380


async def test_both_are_in_the_log_and_a_repetition_is_not(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    for _ in range(2):
        await scheduled(db, owner)
    await next_plan.drop(db, owner, START_MS, SHELL)
    actions = [entry.event.action async for entry in audit.listing(db, target=owner)]
    assert actions.count("subscription.schedule") == 1
    assert actions.count("subscription.unschedule") == 1


@pytest.mark.parametrize("name, code", [
    ("team", "subscription_state"), ("cheap", "plan_not_found"), ("nothing", "plan_not_found")])
async def test_what_cannot_follow(db: Database, name: str, code: str) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    assert await refused(scheduled(db, owner, name)) == code


async def test_without_a_subscription_that_goes_on_nothing_follows(db: Database) -> None:
    owner = await made(db, 310)
    assert await refused(scheduled(db, owner)) == "subscription_state"
    await start(db, owner)
    await scheduled(db, owner)
    await subscription.cancel(db, owner, START_MS, SHELL)
    assert await refused(scheduled(db, owner)) == "subscription_state"
    assert await refused(next_plan.drop(db, owner, START_MS, SHELL)) == "subscription_state"
    # kept after all, it is the present plan that goes on
    assert (await subscription.keep(db, owner, START_MS, SHELL)).next_plan is None
    end_ms = (await present(db, owner)).end_ms
    await run(db, end_ms - 7 * DAY)
    await run(db, end_ms)
    assert (await present(db, owner)).state == "past_due"
    assert await refused(scheduled(db, owner)) == "subscription_state"


async def test_a_change_at_once_takes_the_place_of_one_that_was_to_come(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner, "large")
    await scheduled(db, owner, "team")
    await start(db, owner, "team", START_MS + 1)
    assert (await present(db, owner)).next_plan is None


async def test_a_fee_that_the_balance_does_not_cover_then(db: Database) -> None:
    owner = await made(db, 400)
    await start(db, owner)
    await scheduled(db, owner)
    end_ms = (await present(db, owner)).end_ms
    await run(db, end_ms - 7 * DAY)
    await run(db, end_ms)
    found = await present(db, owner)
    assert (found.plan, found.state) == ("large", "past_due")
    await top_up(db, owner, 530, "second")
    await run(db, end_ms + DAY)
    assert (await present(db, owner)).state == "active" and (await has(db, owner))[0] == 0


async def test_a_plan_that_is_gone_by_then_takes_no_money(db: Database) -> None:
    owner = await made(db, 1000)
    await start(db, owner)
    await scheduled(db, owner)
    end_ms = (await present(db, owner)).end_ms
    for left in ({"team": PLANS["team"]}, {**PLANS, "large": Plan("large")}):
        await run(db, end_ms - 7 * DAY, left)
    await run(db, end_ms, {"team": PLANS["team"]})
    assert (await present(db, owner)).state == "ended" and (await has(db, owner))[0] == 690
    assert await mails(db) == {"subscription_ended": 1}


async def test_who_was_told_what_the_renewal_costs_is_told_again(db: Database) -> None:
    owner = await made(db, 2000)
    await start(db, owner)
    end_ms = (await present(db, owner)).end_ms
    await scheduled(db, owner, now_ms=START_MS + DAY)
    assert await run(db, START_MS + DAY) == 0
    await run(db, end_ms - 7 * DAY)
    await next_plan.drop(db, owner, end_ms - 3 * DAY, SHELL)
    await run(db, end_ms - 3 * DAY)
    assert await renews(db) == ["team", "large"]
    await run(db, end_ms)
    assert (await present(db, owner)).plan == "team"
