"""The configuration as values: what the process is told, frozen (CONTRACT section 2).

`ops/configfile.py` reads the TOML file into these; nothing below `app` knows that there is a file.
Every limit has its name and its default here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from relayd.core.abuse import AbuseRules
from relayd.core.price import NO_PRICES, PriceBook
from relayd.core.limit import LimitBook, Limits
from relayd.core.operator import Operator
from relayd.core.plan import Plan
from relayd.core.provider import Provider
from relayd.core.retention import CHOICES, Terms
from relayd.core.route import Route
from relayd.ops.config_invoices import InvoicesConfig
from relayd.ops.config_payments import PaymentsConfig


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a listener's certificate chain and its key."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The public listener. Sizes are bytes, times are seconds.

    `reuse_port` lets several processes listen on one port (SO_REUSEPORT).

    Above `calls_max` calls under way, `pending_bytes_max` of request bodies in memory,
    `memory_bytes_max` of the process (0: no limit) or a standing lag of the loop of
    `lag_seconds_max` (0: never), new calls get 503. `leave_seconds`: how long a drain waits for a
    request on a connection that is idle, so that none is closed just as it is used.

    `connections_per_address_max` (0: no limit) does not count connections from networks in
    `trusted_proxies`, whose X-Forwarded-For names the client in network records. `reply_bytes_max`
    ends a reply that does not end by itself. On addresses that `proxy_protocol` names, of those in
    `listen`, a PROXY header says who the client is.

    Where a provider has `on_client_close = "drain"`, a reply is read on for `client_drain_seconds`
    after its client has left, and `client_drains_max` of them at a time; others are cancelled.
    `responses_websocket`: whether GET /v1/responses may be upgraded. `busy_poll`: whether the
    event loop stays awake while there are calls.
    """

    listen: tuple[str, ...] = ("127.0.0.1:8080",)
    tls: TlsFiles | None = None
    tls_terminated: bool = False
    reuse_port: bool = False
    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 64 * 1024 * 1024
    drain_seconds: float = 300.0
    head_bytes_max: int = 32 * 1024
    header_count_max: int = 100
    target_bytes_max: int = 8 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 300.0
    idle_seconds: float = 75.0
    heartbeat_seconds: float = 15.0
    connections_max: int = 20_000
    connections_per_address_max: int = 0
    write_buffer_bytes: int = 64 * 1024
    json_reply_bytes_max: int = 32 * 1024 * 1024
    reply_bytes_max: int = 1024 * 1024 * 1024
    calls_max: int = 10_000
    pending_bytes_max: int = 1024 * 1024 * 1024
    memory_bytes_max: int = 0
    lag_seconds_max: float = 0.25
    leave_seconds: float = 2.0
    client_drain_seconds: float = 60.0
    client_drains_max: int = 256
    responses_websocket: bool = False
    busy_poll: bool = False


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key that is not in the store's directory: 32 bytes in hex or base64.

    `file`: where it can be read again. `text` is empty where the reference cannot be followed.
    """

    text: str = field(repr=False, compare=False)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """The directory that holds relayd.db, keys.db and journal/.

    `shared`: other processes may serve the same store, if they say so too. `journal_bytes_max`:
    what the journal may grow to while the store takes no records; then calls are refused.
    `master_key` None: the file `master.key` in the directory.
    """

    path: str = "/var/lib/relayd"
    shared: bool = False
    journal_bytes_max: int = 4 * 1024 * 1024 * 1024
    master_key: MasterKey | None = None


@dataclass(frozen=True, slots=True)
class MeteringConfig:
    """How calls are counted and when records reach SQLite."""

    mode: Literal["inline", "audit"] = "inline"
    audit_every: int = 100
    flush_seconds: float = 1.0
    sync_ms: int = 50


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Defaults per account, and limits of an account with a model; 0: no limit.

    Budgets are nano-units per UTC day and month. `models` are names or patterns.
    """

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent: int = 0
    daily_budget: int = 0
    monthly_budget: int = 0
    models: Mapping[str, Limits] = field(default_factory=dict)

    def book(self, routes: Sequence[Route] = ()) -> LimitBook | None:
        """The same as the relay reads it; None where nothing is limited."""
        return LimitBook.of(Limits(*(getattr(self, name) for name in Limits._fields)), self.models,
                            {alias: route.pattern for route in routes for alias in route.aliases})


@dataclass(frozen=True, slots=True)
class PrivacyConfig:
    """What may stand for the client upstream (CONTRACT section 4), and what stays in memory.

    `training` strict: providers of which it is not known whether they train on content count as if
    they did. `wipe_memory`: freed memory is overwritten (ops/wipe.py); read at the start.
    """

    end_user: Literal["absent", "account", "enduser"] = "absent"
    cache_key: Literal["absent", "hashed"] = "hashed"
    unknown_fields: Literal["drop", "refuse", "pass"] = "drop"
    pass_fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    remote_mcp: Literal["off", "on"] = "off"
    product_betas: Literal["pass", "drop"] = "pass"
    training: Literal["lenient", "strict"] = "strict"
    wipe_memory: bool = False


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """How long each kind of data is kept: the options of core/retention.py, by their names."""

    sign_in_days: int = 190
    network_records_days: int = 190
    call_records_days: int = 190
    letter_days: int = 190
    ticket_days: int = 180
    order_days: int = 1096
    invoice_days: int = 10_958
    consent_days: int = 1096
    erasure_days: int = 1096
    legal_request_days: int = 1827
    audit_days: int = 1096
    backup_days: int = 35

    def terms(self) -> Terms:
        """The same by category."""
        return Terms({each.name: getattr(self, each.option) for each in CHOICES if each.option})


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The pages. `url`: how people reach them, without a path; empty: at the listener's address.

    `relay_url`: how clients reach the relay itself; empty: at its first address.

    `registration` "open": strangers may sign up, who say that they are `minimum_age` or older.
    """

    url: str = ""
    relay_url: str = ""
    registration: Literal["closed", "open"] = "closed"
    minimum_age: int = 14


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The mail server. Without `host` mail stays in the outbox, for the operator to read.

    `user` empty: the address of `sender`, where there is a credential. `processor` names the row
    of the register (`Operator.processors`) that the server is, where it is somebody else's.
    """

    host: str = ""
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    credential: str = field(default="", repr=False)
    ca_file: str | None = None
    sender: str = ""
    reply_to: str = ""
    processor: str = ""


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """Who verifies identities; without `name` nobody does.

    `page`: where people are sent; `processor`: its row of the register; `secrets`: what its
    messages are signed with, each of which will do.
    """

    name: str = ""
    page: str = ""
    processor: str = ""
    secrets: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class BillingConfig:
    """How calls are paid for. `prepaid`: none is served that the account's balance does not cover.

    A call that sets no bound on its output is taken for `output_tokens`, and for
    `output_tokens_max` where the balance allows; one whose body does not bound its input, for
    `input_tokens_max` where the balance allows. `paid_tiers`: whether tiers of service that cost
    more than the price file says go on. `unpriced`: whether models without a price are served.
    """

    prepaid: bool = False
    output_tokens: int = 1024
    output_tokens_max: int = 32_768
    input_tokens_max: int = 1 << 20
    paid_tiers: Literal["drop", "pass"] = "drop"
    unpriced: Literal["serve", "refuse"] = "serve"


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is written about calls, and how.

    `access` "errors": a line for each call that was not completed; "all": and for `access_sample`
    of the others. `format` "journald" sends the systemd journal fields instead of text.
    """

    access: Literal["off", "errors", "all"] = "off"
    access_sample: float = 1.0
    format: Literal["json", "journald"] = "json"


FIXED_SERVER: Final = ("listen", "tls_terminated", "reuse_port", "proxy_protocol")
"""Fields of ServerConfig that a running process keeps, and whether it has TLS at all."""
FIXED: Final = ("console_listen", "console_redirect", "ops_listen", "store")


@dataclass(frozen=True, slots=True)
class Config:
    """One whole configuration."""

    providers: Mapping[str, Provider]
    routes: tuple[Route, ...]
    server: ServerConfig = ServerConfig()
    console_listen: str = "127.0.0.1:8081"
    console_redirect: str = ""
    console: ConsoleConfig = ConsoleConfig()
    ops_listen: str = "127.0.0.1:9464"
    store: StoreConfig = StoreConfig()
    metering: MeteringConfig = MeteringConfig()
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    prices: PriceBook = NO_PRICES
    billing: BillingConfig = BillingConfig()
    plans: Mapping[str, Plan] = field(default_factory=dict)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    abuse: AbuseRules = AbuseRules()
    retention: RetentionConfig = RetentionConfig()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log: LogConfig = LogConfig()
    operator: Operator = Operator()
    mail: MailConfig = MailConfig()
    identity: IdentityConfig = IdentityConfig()
    payments: PaymentsConfig = field(default_factory=PaymentsConfig)
    invoices: InvoicesConfig = InvoicesConfig()


def adoptable(running: Config, wanted: Config) -> tuple[Config, tuple[str, ...]]:
    """What of `wanted` a running process can take, and the names of what needs a restart."""
    kept: dict[str, Any] = {
        name: getattr(running.server, name) for name in FIXED_SERVER
        if getattr(running.server, name) != getattr(wanted.server, name)}
    if (running.server.tls is None) != (wanted.server.tls is None):
        kept["tls"] = running.server.tls
    whole: dict[str, Any] = {
        name: getattr(running, name) for name in FIXED
        if getattr(running, name) != getattr(wanted, name)}
    times = running.metering
    metering = replace(
        wanted.metering, flush_seconds=times.flush_seconds, sync_ms=times.sync_ms)
    privacy = replace(wanted.privacy, wipe_memory=running.privacy.wipe_memory)
    names = (*kept, *whole, *(("metering",) if metering != wanted.metering else ()),
             *(("wipe_memory",) if privacy != wanted.privacy else ()))
    server = replace(wanted.server, **kept)
    return replace(wanted, server=server, metering=metering, privacy=privacy, **whole), names
