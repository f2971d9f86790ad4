"""Plans, for who minds the money: as the configuration has them, and how many have each.

Law: read from the configuration. Terms are changed there, and count from the next period on;
nothing here writes.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import Route, operators
from relayd.console.subscription import Plan, plan_shown
from relayd.console.visit import Visit
from relayd.control import subscription

SEE: Final = operators("finance", "owner")
_STATES: Final = ("active", "ending", "past_due", "")


class OperatedPlan(msgspec.Struct, frozen=True):
    """A plan; its version of today; how many accounts have it, by their subscription's state.
    `assigned`: those that an operator gave it to."""

    plan: Plan
    version: str
    offered: bool
    active: int
    ending: int
    past_due: int
    assigned: int


class Plans(msgspec.Struct, frozen=True):
    """All of the configuration's, and the names of others that accounts still have."""

    plans: list[OperatedPlan]
    gone: dict[str, int]


async def _plans(visit: Visit) -> Plans:
    plans = visit.services.config().plans
    counts = await subscription.counts(visit.db)
    gone: dict[str, int] = {}
    for (name, _), count in counts.items():
        if name not in plans:
            gone[name] = gone.get(name, 0) + count
    return Plans([OperatedPlan(
        plan_shown(plan, visit.language, mine=False), plan.version, plan.offered,
        *(counts.get((plan.name, state), 0) for state in _STATES)) for plan in plans.values()],
        gone)


async def show(visit: Visit) -> web.Response:
    """The page."""
    return page(visit, "money/operate_plans.html", found=await _plans(visit))


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(await _plans(visit))


ROUTES: Final = (
    Route("GET", "/operate/plans", show, SEE, "Plans and who has them"),
    Route("GET", "/api/v1/operate/plans", give, SEE, "Plans, and how many have each",
          gives=Plans),
)
