"""What one configuration says to the relay path: routes, providers, body tables, pools, heads.

Law: frozen once built; `direct` alone is filled as calls come (relay/dispatch.py). A reload builds
a new policy and swaps it in one assignment; an exchange keeps the one it began under, so no live
stream notices. The pools of providers that have not changed, nor their files of authorities, go
over to the new policy with their connections, and what is known of their health.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relayd.core.provider import Api, Provider
from relayd.core.route import Deployment, Route, Routes
from relayd.core.snapshot import KeyGrant
from relayd.ops.config import Config, ServerConfig
from relayd.relay.heads import Heads
from relayd.relay.health import HealthBook
from relayd.relay.plan import EVERY_CONSENT, Place, Plan, given
from relayd.relay.pool import Pool
from relayd.wire.http import HeadLimits
from relayd.wire.walk import BodyPolicy

APIS: tuple[Api, ...] = ("openai", "anthropic", "gemini")
MakePool = Callable[[Provider], Pool]


class Policy:
    """The configuration, worked out; its parts are attributes, read directly."""

    __slots__ = ("server", "providers", "routes", "plans", "direct", "body_policies",
                 "model_names", "secrets", "pools", "heads", "head_limits", "limits", "health",
                 "prices", "billing", "narrowed", "strict")

    def __init__(self, config: Config, heads: Heads, make_pool: MakePool,
                 old: Policy | None = None) -> None:
        server: ServerConfig = config.server
        self.server = server
        self.providers: Mapping[str, Provider] = config.providers
        before: Mapping[str, Pool] = {} if old is None else old.pools
        kept = {name: pool for name, pool in before.items()
                if config.providers.get(name) == pool.provider and not pool.outdated}
        self.pools: Mapping[str, Pool] = {
            name: kept[name] if name in kept else make_pool(provider)
            for name, provider in config.providers.items()
        }
        known: HealthBook | None = None if old is None else old.health
        self.health: HealthBook = HealthBook(known, kept)
        self.strict = config.privacy.training == "strict"
        self.routes = Routes.of(config.routes)
        self.plans = {
            (api, route.pattern): self._plan(api, route)
            for api in APIS for route in config.routes
        }
        self.direct: Mapping[Api, dict[str, Plan]] = {api: {} for api in APIS}
        """Plans by names that were found before, of those that ask for no consent."""
        self.narrowed = {key: tuple(plan.within(given) for given in EVERY_CONSENT)
                         for key, plan in self.plans.items() if plan.asks}
        """Plans that ask for consents, by what an account has given."""
        self.health.seal()
        self.prices = config.prices
        self.billing = config.billing
        self.head_limits = head_limits(server)
        self.body_policies = {api: body_policy(config, api) for api in APIS}
        self.model_names = {api: _names(config, api) for api in APIS}
        self.secrets = {name: _secrets(p) for name, p in config.providers.items()}
        self.heads = heads
        self.limits = config.limits.book(config.routes)

    def consented(self, api: Api, route: Route, grant: KeyGrant) -> Plan:
        """A route's plan, as far as an account has agreed to it."""
        key = api, route.pattern
        plan = self.plans[key]
        return self.narrowed[key][given(grant)] if plan.asks else plan

    def _plan(self, api: Api, route: Route) -> Plan:
        """A route's deployments that speak this API."""
        return Plan(route, tuple(
            self._place(route, deployment) for deployment in route.deployments
            if self.providers[deployment.provider].dialect == api))

    def _place(self, route: Route, deployment: Deployment) -> Place:
        pool = self.pools[deployment.provider]
        health = self.health.health(pool.provider, deployment.model or route.pattern)
        return Place(route, deployment, pool, health, self.health.gate(route, deployment),
                     strict=self.strict)


def head_limits(server: ServerConfig) -> HeadLimits:
    """How long a request's head may be."""
    return HeadLimits(server.head_bytes_max, server.header_count_max, server.target_bytes_max)


def body_policy(config: Config, api: Api) -> BodyPolicy:
    """What becomes of the members of bodies of one API."""
    privacy = config.privacy
    return BodyPolicy(
        privacy.unknown_fields, privacy.pass_fields.get(api, frozenset()), privacy.end_user,
        privacy.cache_key, privacy.remote_mcp, config.billing.paid_tiers)


def _names(config: Config, api: Api) -> list[str]:
    """Route names that this API can list: exact ones with a deployment that speaks it."""
    providers = config.providers
    return [
        name for route in config.routes
        if not route.is_pattern
        and any(providers[d.provider].dialect == api for d in route.deployments)
        for name in (route.pattern, *route.aliases)
    ]


def _secrets(provider: Provider) -> tuple[bytes, ...]:
    """What of a provider's configuration may never reach a client."""
    words = (*provider.credentials, provider.address.host, provider.organization, provider.project)
    return tuple(word.encode() for word in words if word)
