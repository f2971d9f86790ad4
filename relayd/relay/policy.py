"""What one configuration says to the relay path: routes, providers, body tables, pools, heads.

Law: frozen once built. A reload builds a new policy and swaps it in one assignment; an exchange
keeps the one it began under, so no live stream notices. The pools of providers that have not
changed go over to the new policy with their connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relayd.core.provider import Api, Provider
from relayd.core.route import Deployment, Route, Routes
from relayd.ops.config import Config, ServerConfig
from relayd.relay.heads import Heads
from relayd.relay.pool import Pool
from relayd.wire.body import BodyPolicy
from relayd.wire.http import HeadLimits

APIS: tuple[Api, ...] = ("openai", "anthropic", "gemini")
Place = tuple[Deployment, Provider]
MakePool = Callable[[Provider], Pool]


class Policy:
    """The configuration, worked out; its parts are attributes, read directly."""

    __slots__ = ("server", "providers", "routes", "plans", "body_policies", "model_names",
                 "secrets", "pools", "heads", "head_limits", "limits")

    def __init__(self, config: Config, heads: Heads, make_pool: MakePool,
                 kept: Mapping[str, Pool]) -> None:
        server: ServerConfig = config.server
        self.server = server
        self.providers: Mapping[str, Provider] = config.providers
        self.routes = Routes.of(config.routes)
        self.plans = {
            (api, route.pattern): _plan(config, api, route)
            for api in APIS for route in config.routes
        }
        self.head_limits = HeadLimits(
            server.head_bytes_max, server.header_count_max, server.target_bytes_max)
        self.body_policies = {api: _policy(config, api) for api in APIS}
        self.model_names = {api: _names(config, api) for api in APIS}
        self.secrets = {name: _secrets(p) for name, p in config.providers.items()}
        self.heads = heads
        self.limits = config.limits.book()
        self.pools = {
            name: kept[name] if name in kept and kept[name].provider == p else make_pool(p)
            for name, p in config.providers.items()
        }


def _policy(config: Config, api: Api) -> BodyPolicy:
    privacy = config.privacy
    return BodyPolicy.of(
        unknown_fields=privacy.unknown_fields,
        pass_fields=privacy.pass_fields.get(api, frozenset()),
        end_user=privacy.end_user,
        cache_key=privacy.cache_key,
        remote_mcp=privacy.remote_mcp,
    )


def _plan(config: Config, api: Api, route: Route) -> tuple[Place, ...]:
    """A route's deployments that speak this API, with their providers."""
    providers = config.providers
    return tuple(
        (d, providers[d.provider]) for d in route.deployments
        if providers[d.provider].dialect == api
    )


def _names(config: Config, api: Api) -> list[str]:
    """Route names that this API can list: exact ones with a deployment that speaks it."""
    providers = config.providers
    return [
        route.pattern for route in config.routes
        if not route.is_pattern
        and any(providers[d.provider].dialect == api for d in route.deployments)
    ]


def _secrets(provider: Provider) -> tuple[bytes, ...]:
    """What of a provider's configuration may never reach a client."""
    words = (*provider.credentials, provider.address.host, provider.organization, provider.project)
    return tuple(word.encode() for word in words if word)
