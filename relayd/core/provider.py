"""A provider: a company or service with an API, as the configuration file names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

ProviderApi = Literal["openai", "azure", "anthropic", "gemini"]
Api = Literal["openai", "anthropic", "gemini"]
Trains = Literal["no", "unknown", "yes"]
ClientClose = Literal["cancel", "drain", "drain_uncounted"]
TRAINS: Final[tuple[Trains, ...]] = ("no", "unknown", "yes")
"""Whether content may train models, from the best to the worst."""
CLIENT_CLOSES: Final[tuple[ClientClose, ...]] = ("cancel", "drain", "drain_uncounted")
"""What becomes of a reply when its client leaves; the last: read on, where only the provider can
count it."""
_KNOW_THE_NEWER: Final = frozenset({
    "api.groq.com", "api.x.ai", "openrouter.ai", "api.cerebras.ai"})
"""Hosts beside OpenAI's own whose API lists `max_completion_tokens`."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; each ends an attempt with its own error. `total` 0 means no bound."""

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 60.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider listens: parsed once from `base_url`. `path` has no trailing slash."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """An egress proxy. `credential` is `user:password`, or empty.

    `ca_file` names the authorities to trust for an https one, instead of the system's.
    """

    scheme: Literal["http", "https", "socks5"]
    host: str
    port: int
    credential: str = field(default="", repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class DataTerms:
    """What becomes of content at a provider, by its own word. None: it is not known.

    `zdr`: zero data retention was agreed with it.
    """

    trains: Trains = "unknown"
    retention_days: int | None = None
    region: str | None = None
    policy_url: str | None = None
    zdr: bool = False


def together(terms: Iterable[DataTerms]) -> DataTerms:
    """What holds wherever a call may go: the worst of each, the regions in a row, one policy."""
    every = list(dict.fromkeys(terms))
    if not every:
        return DataTerms()
    days = [each.retention_days for each in every]
    policies = {each.policy_url for each in every}
    return DataTerms(
        max((each.trains for each in every), key=TRAINS.index),
        None if None in days else max(day for day in days if day is not None),
        ", ".join(dict.fromkeys(each.region for each in every if each.region)) or None,
        policies.pop() if len(policies) == 1 else None,
        all(each.zdr for each in every))


@dataclass(frozen=True, slots=True)
class Provider:
    """One `[providers.NAME]` table, with its credentials resolved (never in a repr)."""

    name: str
    api: ProviderApi
    address: Address
    credentials: tuple[str, ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    proxy: Proxy | None = field(default=None, repr=False)
    on_client_close: ClientClose = "cancel"
    timeouts: Timeouts = Timeouts()
    api_version: str | None = None
    organization: str | None = None
    project: str | None = None
    stream_usage: bool = True
    ca_file: str | None = None
    connections_max: int = 1024
    probe_seconds: float = 0.0
    """How often a connection is tried without a call; 0: never."""
    overseas: bool = False
    """Outside China: calls go there for accounts that agreed to it alone."""
    terms: DataTerms = DataTerms()

    @property
    def keeps_unless_told(self) -> bool:
        """True where chat completions are stored unless the request says `store: false`."""
        host = self.address.host
        return self.api == "azure" or host == "openai.com" or host.endswith(".openai.com")

    @property
    def knows_completion_bound(self) -> bool:
        """True where `max_completion_tokens` bounds a chat's answer. Others may know `max_tokens`
        alone and ignore it, as servers ignore what they do not know (DeepSeek's, Ollama)."""
        return self.keeps_unless_told or self.address.host in _KNOW_THE_NEWER

    @property
    def dialect(self) -> Api:
        """The API whose bodies this provider speaks; azure speaks OpenAI's."""
        return "openai" if self.api == "azure" else self.api
