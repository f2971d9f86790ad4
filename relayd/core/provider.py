"""A provider: a company or service with an API, as the configuration file names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ProviderApi = Literal["openai", "azure", "anthropic", "gemini"]
Api = Literal["openai", "anthropic", "gemini"]


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
class Provider:
    """One `[providers.NAME]` table, with its credentials resolved (never in a repr)."""

    name: str
    api: ProviderApi
    address: Address
    credentials: tuple[str, ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    proxy: Proxy | None = field(default=None, repr=False)
    on_client_close: Literal["cancel", "drain"] = "cancel"
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

    @property
    def keeps_unless_told(self) -> bool:
        """True where chat completions are stored unless the request says `store: false`."""
        host = self.address.host
        return self.api == "azure" or host == "openai.com" or host.endswith(".openai.com")

    @property
    def dialect(self) -> Api:
        """The API whose bodies this provider speaks; azure speaks OpenAI's."""
        return "openai" if self.api == "azure" else self.api
