"""Plans and one's subscription: compare, see what a change comes to, subscribe, cancel, keep; a
change at the end of the period, and calling it off.

Law: the page that asks for a yes says what is paid, what comes back and what ends; the fee is paid
from the balance or nothing happens.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.console.wallet import signed_decimal
from relayd.control import next_plan, subscription
from relayd.core.errors import RelayError
from relayd.core.money import decimal
from relayd.core.plan import MARKUP_ONE, Period
from relayd.core.plan import Plan as CorePlan
from relayd.core.subscription import Subscription as CoreSubscription
from relayd.core.subscription import SubscriptionState
from relayd.core.timestamp import rfc3339

_EXAMPLE: Final = {"plan": "team"}


class Plan(msgspec.Struct, frozen=True):
    """A plan. `markup` is a factor on the price file's prices, `models` those of some models; with
    a `period` there is a `fee` for each, and an `allowance` of use is included in it."""

    name: str
    title: str
    markup: str
    models: dict[str, str]
    period: Period | None
    fee: str
    allowance: str
    currency: str
    mine: bool


class Subscription(msgspec.Struct, frozen=True):
    """One's subscription. `past_due`: its fee could not be paid, and is asked for again at
    `due_at`: top up the balance by then. `next_plan` follows when the period ends; null: the same
    plan does."""

    plan: str
    version: str
    state: SubscriptionState
    started_at: str
    ends_at: str
    due_at: str
    next_plan: str | None


class Quote(msgspec.Struct, frozen=True):
    """What starting a plan now comes to: the fee, what comes back of the old one, what ends of the
    old allowance, what is there to pay from, and what is missing."""

    plan: str
    currency: str
    fee: str
    allowance: str
    back: str
    back_currency: str
    allowance_ends: str
    balance: str
    short: str
    ends_at: str


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan that is wanted."""

    plan: str


def title(plan: CorePlan, language: str) -> str:
    """What a plan is called in a language."""
    return (plan.title_zh if language == "zh" else plan.title) or plan.title or plan.name


def _markup(millionths: int) -> str:
    return decimal(millionths * (10 ** 9 // MARKUP_ONE), 2)


def plan_shown(plan: CorePlan, language: str, mine: bool) -> Plan:
    """A plan for programs and templates."""
    return Plan(
        plan.name, title(plan, language), _markup(plan.markup),
        {name: _markup(each) for name, each in plan.models.items()}, plan.period,
        decimal(plan.fee_nano, 2), decimal(plan.allowance_nano, 2), plan.currency, mine)


def shown(found: CoreSubscription) -> Subscription:
    """A subscription for programs and templates."""
    return Subscription(found.plan, found.version, found.state, rfc3339(found.start_ms),
                        rfc3339(found.end_ms), rfc3339(found.due_at_ms), found.next_plan)


async def _present(visit: Visit) -> CoreSubscription | None:
    """One that has not ended."""
    found = await subscription.find(visit.db, visit.account)
    return found if found is not None and found.state != "ended" else None


async def _plans(visit: Visit) -> list[Plan]:
    """What one can choose, and what one has."""
    plans = visit.services.config().plans
    mine = (await subscription.plans_of(visit.db, [visit.account])).get(visit.account)
    return [plan_shown(plan, visit.language, plan.name == mine) for plan in plans.values()
            if plan.offered or plan.name == mine]


def _offered(visit: Visit, name: str) -> str:
    """The name itself; raises `plan_not_found` for what is not offered to holders."""
    plan = visit.services.config().plans.get(name)
    if plan is None or not plan.offered:
        raise RelayError("plan_not_found", param="plan")
    return name


async def _quote(visit: Visit, name: str) -> Quote:
    found = await subscription.quote(visit.db, visit.account, _offered(visit, name),
                                     visit.services.config().plans, visit.now_ms)
    plan = found.plan
    return Quote(
        plan.name, plan.currency, decimal(plan.fee_nano, 2), decimal(found.given_nano, 2),
        decimal(found.back_nano, 2), found.back_currency, decimal(found.ends_nano, 2),
        signed_decimal(found.has_nano), decimal(found.short_nano, 2), rfc3339(found.ends_ms))


async def _subscribe(visit: Visit, name: str) -> Subscription:
    return shown(await subscription.subscribe(
        visit.db, visit.account, _offered(visit, name), visit.services.config().plans,
        visit.now_ms, visit.actor))


async def _cancel(visit: Visit) -> Subscription:
    return shown(await subscription.cancel(visit.db, visit.account, visit.now_ms, visit.actor))


async def _keep(visit: Visit) -> Subscription:
    return shown(await subscription.keep(visit.db, visit.account, visit.now_ms, visit.actor))


async def _schedule(visit: Visit, name: str) -> Subscription:
    return shown(await next_plan.schedule(
        visit.db, visit.account, _offered(visit, name), visit.services.config().plans,
        visit.now_ms, visit.actor))


async def _unschedule(visit: Visit) -> Subscription:
    return shown(await next_plan.drop(visit.db, visit.account, visit.now_ms, visit.actor))


def _following(visit: Visit, present: CoreSubscription | None) -> Plan | None:
    """The plan that was chosen for the next period; None also where it is there no more."""
    if present is None or present.next_plan is None:
        return None
    plan = visit.services.config().plans.get(present.next_plan)
    return None if plan is None or plan.period is None else plan_shown(
        plan, visit.language, mine=False)


async def show(visit: Visit) -> web.Response:
    """All plans beside each other, and how one's own stands."""
    present = await _present(visit)
    plans = await _plans(visit)
    names = {plan.name: plan.title for plan in plans}
    return page(visit, "money/plans.html", plans=plans, names=names,
                present=None if present is None else shown(present),
                following=_following(visit, present))


async def show_one(visit: Visit) -> web.Response:
    """What choosing a plan comes to, and the form that chooses it."""
    return await _one_page(visit)


async def _one_page(visit: Visit, error: RelayError | None = None) -> web.Response:
    name = visit.name("plan")
    quote = await _quote(visit, name)
    plan = visit.services.config().plans[name]
    present = await _present(visit)
    later = present is not None and present.state == "active" and present.plan != name
    return page(visit, "money/plan.html", 200 if error is None else error.status, quote=quote,
                plan=plan_shown(plan, visit.language, mine=False), error=error,
                changes=present is not None, later=present and shown(present) if later else None)


async def choose(visit: Visit) -> web.Response:
    """Subscribes, or shows the page again with what is missing."""
    try:
        await _subscribe(visit, visit.name("plan"))
    except RelayError as error:
        if error.code != "balance_short":
            raise
        return await _one_page(visit, error)
    return redirect("/plans")


async def cancel(visit: Visit) -> web.Response:
    """Ends it with its period."""
    await _cancel(visit)
    return redirect("/plans")


async def keep(visit: Visit) -> web.Response:
    """Lets it go on after all."""
    await _keep(visit)
    return redirect("/plans")


async def schedule(visit: Visit) -> web.Response:
    """Chooses the plan of the next period."""
    await _schedule(visit, visit.name("plan"))
    return redirect("/plans")


async def unschedule(visit: Visit) -> web.Response:
    """Calls that off."""
    await _unschedule(visit)
    return redirect("/plans")


async def give_plans(visit: Visit) -> web.Response:
    """What one can choose, and what one has."""
    return reply(await _plans(visit))


async def give_quote(visit: Visit) -> web.Response:
    """What choosing a plan comes to."""
    return reply(await _quote(visit, visit.name("plan")))


async def give(visit: Visit) -> web.Response:
    """One's subscription; null where there is none."""
    found = await _present(visit)
    return reply(None if found is None else shown(found))


async def give_new(visit: Visit) -> web.Response:
    """Subscribes for a program."""
    return reply(await _subscribe(visit, visit.take(Choice).plan), 201)


async def give_cancel(visit: Visit) -> web.Response:
    """Cancels for a program."""
    return reply(await _cancel(visit))


async def give_keep(visit: Visit) -> web.Response:
    """Keeps for a program."""
    return reply(await _keep(visit))


async def give_scheduled(visit: Visit) -> web.Response:
    """Chooses the next plan for a program."""
    return reply(await _schedule(visit, visit.take(Choice).plan))


async def give_unscheduled(visit: Visit) -> web.Response:
    """Calls it off for a program."""
    return reply(await _unschedule(visit))


_CHOOSING: Final = ("plan_not_found", "subscription_state", "balance_short")
ROUTES: Final = (
    Route("GET", "/plans", show, HOLDER, "Plans"),
    # before the plans, whose path takes any name
    Route("POST", "/plans/cancel", cancel, HOLDER, "Cancel the subscription"),
    Route("POST", "/plans/keep", keep, HOLDER, "Keep the subscription"),
    Route("GET", "/plans/choose/{plan}", show_one, HOLDER, "What a plan comes to",
          example=_EXAMPLE),
    Route("POST", "/plans/choose/{plan}", choose, HOLDER, "Choose a plan", example=_EXAMPLE),
    Route("POST", "/plans/schedule/{plan}", schedule, HOLDER, "Choose the plan of the next period",
          example=_EXAMPLE),
    Route("POST", "/plans/unschedule", unschedule, HOLDER, "Call a change of plan off"),
    Route("GET", "/api/v1/plans", give_plans, HOLDER, "Plans", gives=list[Plan]),
    Route("GET", "/api/v1/plans/{plan}/quote", give_quote, HOLDER, "What a plan comes to",
          gives=Quote, errors=_CHOOSING[:2], example=_EXAMPLE),
    Route("GET", "/api/v1/subscription", give, HOLDER, "One's subscription",
          gives=Subscription | None),
    Route("POST", "/api/v1/subscription", give_new, HOLDER, "Choose a plan", takes=Choice,
          gives=Subscription, status=201, errors=_CHOOSING),
    Route("POST", "/api/v1/subscription/cancel", give_cancel, HOLDER, "Cancel the subscription",
          gives=Subscription, errors=("subscription_state",)),
    Route("POST", "/api/v1/subscription/keep", give_keep, HOLDER, "Keep the subscription",
          gives=Subscription, errors=("subscription_state",)),
    Route("PUT", "/api/v1/subscription/next", give_scheduled, HOLDER,
          "Choose the plan of the next period", takes=Choice, gives=Subscription,
          errors=_CHOOSING[:2]),
    Route("DELETE", "/api/v1/subscription/next", give_unscheduled, HOLDER,
          "Call a change of plan off", gives=Subscription, errors=("subscription_state",)),
)
