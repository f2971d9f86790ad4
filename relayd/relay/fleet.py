"""The fleet as it stands now, read of the running plane for the operator's pages.

Law: reads, and costs no call anything.
"""

from __future__ import annotations

from relayd.core.fleet import DeploymentStanding, Fleet, ProviderStanding, RouteStanding
from relayd.core.route import Route
from relayd.relay.plan import Place
from relayd.relay.plane import Plane
from relayd.relay.policy import APIS, Policy


def fleet(plane: Plane) -> Fleet:
    """Every provider and route of the policy that new calls begin under."""
    policy, now = plane.policy, plane.now()
    used = {place.provider for route in _routes(policy) for place in route.deployments}
    return Fleet(
        tuple(_provider(policy, name, name in used) for name in policy.providers),
        tuple(_route(policy, route, now) for route in _routes(policy)),
    )


def _routes(policy: Policy) -> list[Route]:
    """The routes in the order of the configuration."""
    return [plan.route for (api, _), plan in policy.plans.items() if api == APIS[0]]


def _provider(policy: Policy, name: str, in_use: bool) -> ProviderStanding:
    pool = policy.pools[name]
    return ProviderStanding(
        name=name, api=pool.provider.api,
        up=policy.health.is_up(pool.provider),
        idle_connections=pool.idle, busy_connections=pool.busy,
        credentials=len(pool.provider.credentials), in_use=in_use,
    )


def _route(policy: Policy, route: Route, now: float) -> RouteStanding:
    # a deployment has one dialect, so it is in one of the three plans
    places = {place.deployment: place
              for api in APIS for place in policy.plans[api, route.pattern].places}
    return RouteStanding(
        name=route.pattern, aliases=route.aliases, strategy=route.strategy,
        fallback=route.fallback,
        deployments=tuple(_deployment(places[each], now) for each in route.deployments),
    )


def _deployment(place: Place, now: float) -> DeploymentStanding:
    seconds = place.health.latency.seconds
    gate = place.gate
    return DeploymentStanding(
        provider=place.provider.name, model=place.deployment.model,
        weight=place.deployment.weight, priority=place.deployment.priority,
        state=place.state(now).value,
        first_byte_ms=round(seconds * 1000, 1) if seconds else None,
        in_flight=None if gate is None else gate.busy,
        waiting=None if gate is None else gate.waiting,
    )
