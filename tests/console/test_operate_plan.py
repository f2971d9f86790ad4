"""Plans and who has them, as finance and the owner see them."""

from __future__ import annotations

from dataclasses import replace

from relayd.control import subscription
from relayd.core.actor import SHELL, Actor
from relayd.core.plan import Plan
from tests.console.asking import api, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person

TEAM = Plan("team", title="Team", period="month", offered=True)
CHEAP = Plan("cheap", 500_000)


async def test_plans_are_counted(console: Console) -> None:
    plans = {"team": TEAM, "cheap": CHEAP}
    console.config = replace(console.config, plans=plans)
    for number in range(4):
        who = (await person(console.db, NOW_MS, name=f"h{number}")).account
        if number == 3:
            await subscription.assign(console.db, who, "cheap", plans, NOW_MS, SHELL)
            continue
        await subscription.subscribe(console.db, who, "team", plans, NOW_MS, Actor(who))
        if number == 2:
            await subscription.cancel(console.db, who, NOW_MS, Actor(who))
    for role in ("finance", "owner"):
        who = await person(console.db, NOW_MS, role, name=role, two_factors=True)
        status, found = await api(console, who, "GET", "/api/v1/operate/plans")
        counted = {each["plan"]["name"]: (each["active"], each["ending"], each["past_due"],
                                          each["assigned"]) for each in found["plans"]}
        assert status == 200 and found["gone"] == {}
        assert counted == {"team": (2, 1, 0, 0), "cheap": (0, 0, 0, 1)}
        shown = await text(console, who, "/operate/plans")
        assert "Team" in shown and TEAM.version in shown and "not offered" in shown
    console.config = replace(console.config, plans={"cheap": CHEAP})
    _, found = await api(console, who, "GET", "/api/v1/operate/plans")
    assert found["gone"] == {"team": 3}
    assert "team: 3" in await text(console, who, "/operate/plans?lang=zh")
