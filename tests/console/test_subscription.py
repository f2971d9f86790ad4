"""Plans: compared, priced before they are chosen, chosen, cancelled, kept; a fee that is due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import posting, subscription
from relayd.core.actor import Actor
from relayd.core.plan import Plan
from relayd.core.posting import move
from relayd.core.subscription import Subscription
from relayd.core.timestamp import rfc3339
from relayd.store import posting as store_posting
from tests.console.asking import api, send, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person

UNIT = 10 ** 9
DAY_MS = 86_400_000
PLANS = {plan.name: plan for plan in (
    Plan("team", 1_100_000, {"gpt-*": 1_050_000}, "Team", "团队", "month", 31 * UNIT, 40 * UNIT,
         offered=True),
    Plan("large", 1_000_000, {}, "Large", "", "month", 62 * UNIT, 90 * UNIT, offered=True),
    Plan("secret", period="month", fee_nano=UNIT), Plan("default", 1_300_000))}


async def holder(console: Console, units: int) -> Person:
    console.config = replace(console.config, plans=PLANS)
    who = await person(console.db, NOW_MS)
    async with console.db.writing() as transaction:
        await store_posting.post(transaction, move(
            "top_up", f"order:{units}:credited", units * UNIT, "USD", account=who.account,
            partner="card"), NOW_MS)
    return who


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_subscription_by_pages(console: Console, language: str) -> None:
    who = await holder(console, 100)
    shown = await text(console, who, f"/plans?lang={language}")
    assert ("Team" if language == "en" else "团队") in shown and "× 1.10" in shown
    assert "31.00 USD" in shown and "gpt-* × 1.05" in shown and "secret" not in shown
    where = "/plans/choose/team"
    assert "31.00 USD" in await text(console, who, where)
    answer = await send(console, who, where, where)
    assert (answer.status, answer.headers["Location"]) == (303, "/plans")
    for path, state in (("/plans/cancel", "ending"), ("/plans/keep", "active")):
        assert (await send(console, who, "/plans", path)).status == 303
        found = await subscription.find(console.db, who.account)
        assert found is not None and found.state == state
    await send(console, who, "/plans/choose/large", "/plans/choose/large")
    found = await subscription.find(console.db, who.account)
    assert found is not None and found.plan == "large"


async def test_what_a_change_comes_to_stands_on_its_page(console: Console) -> None:
    who = await holder(console, 100)
    # half of the month is over: half of the fee comes back, and the allowance ends
    made = await subscription.subscribe(
        console.db, who.account, "team", PLANS, NOW_MS - 31 * DAY_MS // 2, Actor(who.account))
    assert made.end_ms - made.start_ms == 31 * DAY_MS
    told = await text(console, who, "/plans/choose/large")
    assert all(figure in told for figure in ("15.50 USD", "40.00 USD", "62.00 USD", "69.00 USD"))
    await send(console, who, "/plans/choose/large", "/plans/choose/large")
    [left] = await posting.balances(console.db, who.account)
    assert left.balance == 69 * UNIT + 31 * UNIT // 2 - 62 * UNIT and left.promo == 90 * UNIT


async def test_what_is_not_offered_cannot_be_chosen(console: Console) -> None:
    who = await holder(console, 100)
    for name in ("secret", "default", "nothing"):
        assert (await console.get(f"/plans/choose/{name}", cookies=who.cookies)).status == 404
        status, said = await api(console, who, "POST", "/api/v1/subscription", {"plan": name})
        assert (status, said["error"]["code"]) == (404, "plan_not_found")
    assert await subscription.find(console.db, who.account) is None


async def test_what_is_missing_is_said(console: Console) -> None:
    who = await holder(console, 30)
    shown = await text(console, who, "/plans/choose/team")
    assert "1.00 USD" in shown and "<form method=\"post\" action=\"/plans/choose" not in shown
    answer = await send(console, who, "/plans", "/plans/choose/team")
    assert answer.status == 402 and await subscription.find(console.db, who.account) is None


async def test_a_fee_that_is_due(console: Console) -> None:
    who = await holder(console, 31)
    await send(console, who, "/plans", "/plans/choose/team")
    found = await subscription.find(console.db, who.account)
    assert found is not None
    await subscription.run_due(console.db, PLANS, "https://x.example", found.end_ms - 1)
    await subscription.run_due(console.db, PLANS, "https://x.example", found.end_ms)
    assert "fee not paid" in await text(console, who, "/plans")
    status, said = await api(console, who, "GET", "/api/v1/subscription")
    assert (status, said["state"]) == (200, "past_due")
    assert (await api(console, who, "POST", "/api/v1/subscription/keep"))[0] == 409
    status, said = await api(console, who, "POST", "/api/v1/subscription/cancel")
    assert (status, said["state"]) == (200, "ended")
    assert await api(console, who, "GET", "/api/v1/subscription") == (200, None)


async def test_for_programs(console: Console) -> None:
    who = await holder(console, 100)
    status, plans = await api(console, who, "GET", "/api/v1/plans")
    assert [plan["name"] for plan in plans] == ["team", "large"] and status == 200
    status, told = await api(console, who, "GET", "/api/v1/plans/team/quote")
    assert (told["fee"], told["back"], told["balance"], told["short"]) == (
        "31.00", "0.00", "100.00", "0.00")
    status, made = await api(console, who, "POST", "/api/v1/subscription", {"plan": "team"})
    assert status == 201 and made["ends_at"] == told["ends_at"]
    assert (await api(console, who, "POST", "/api/v1/subscription", {"plan": "team"}))[0] == 409
    assert (await api(console, who, "GET", "/api/v1/plans"))[1][0]["mine"] is True


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_change_at_the_end_of_the_period_by_pages(
    console: Console, language: str
) -> None:
    who = await holder(console, 100)
    await send(console, who, "/plans", "/plans/choose/team")
    ends = rfc3339((await found(console, who)).end_ms)[:10]
    where = f"/plans/choose/large?lang={language}"
    shown = await text(console, who, where)
    assert ends in shown and "62.00 USD" in shown and "/plans/schedule/large" in shown
    answer = await send(console, who, where, "/plans/schedule/large")
    assert (answer.status, answer.headers["Location"]) == (303, "/plans")
    assert (await found(console, who)).next_plan == "large"
    [left] = await posting.balances(console.db, who.account)
    assert left.balance == 69 * UNIT  # nothing was paid
    shown = await text(console, who, f"/plans?lang={language}")
    assert "Large: 62.00 USD" in shown and shown.count(ends) >= 3
    assert "/plans/schedule" not in await text(console, who, where)
    answer = await send(console, who, "/plans", "/plans/unschedule")
    assert (answer.status, (await found(console, who)).next_plan) == (303, None)
    assert "/plans/unschedule" not in await text(console, who, "/plans")
    assert (await send(console, who, "/plans", "/plans/unschedule")).status == 409


async def found(console: Console, who: Person) -> Subscription:
    made = await subscription.find(console.db, who.account)
    assert made is not None
    return made


async def test_a_plan_that_was_to_follow_and_is_gone_is_said(console: Console) -> None:
    who = await holder(console, 100)
    await send(console, who, "/plans", "/plans/choose/team")
    await send(console, who, "/plans", "/plans/schedule/large")
    console.config = replace(console.config, plans={"team": PLANS["team"]})
    shown = await text(console, who, "/plans")
    assert "not offered any more" in shown and "/plans/unschedule" in shown


async def test_without_a_subscription_there_is_no_later(console: Console) -> None:
    who = await holder(console, 100)
    assert "/plans/schedule" not in await text(console, who, "/plans/choose/team")
    for name, status in (("team", 409), ("secret", 404), ("default", 404), ("nothing", 404)):
        assert (await send(console, who, "/plans", f"/plans/schedule/{name}")).status == status


async def test_a_change_at_the_end_of_the_period_for_programs(console: Console) -> None:
    who, other = await holder(console, 100), await person(console.db, NOW_MS, name="bob")
    await api(console, who, "POST", "/api/v1/subscription", {"plan": "team"})
    at = "/api/v1/subscription/next"
    status, said = await api(console, who, "PUT", at, {"plan": "large"})
    assert (status, said["plan"], said["next_plan"]) == (200, "team", "large")
    assert (await api(console, who, "PUT", at, {"plan": "team"}))[0] == 409
    assert (await api(console, who, "PUT", at, {"plan": "secret"}))[0] == 404
    assert (await api(console, who, "PUT", at, {"plan": "large", "now": True}))[0] == 422
    # somebody else's is not there
    assert (await api(console, other, "DELETE", at))[0] == 409
    status, said = await api(console, who, "DELETE", at)
    assert (status, said["next_plan"]) == (200, None)
    assert (await api(console, who, "DELETE", at))[0] == 409
