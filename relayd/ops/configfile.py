"""Reads the configuration file into `ops.config.Config`, or says everything that is wrong with it.

Law: the only module that reads the environment. Every fault is found in one pass, each with its
key, its line and what would be right; unknown keys are faults; nothing is guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path as FilePath
from typing import Final, Literal, cast

from relayd.core.retention import CHOICES, Category, problem
from relayd.ops.config import (
    BillingConfig, Config, LogConfig, MeteringConfig, PrivacyConfig, RetentionConfig,
)
from relayd.ops.configfile_abuse import read_abuse
from relayd.ops.configfile_credential import Secrets, Surroundings
from relayd.ops.configfile_fault import ConfigError, Fault, Findings, in_order
from relayd.ops.configfile_identity import judge_identity, read_identity
from relayd.ops.configfile_invoices import judge_invoices, read_invoices
from relayd.ops.configfile_limit import read_limits
from relayd.ops.configfile_lines import key_lines
from relayd.ops.configfile_listener import (
    judge_addresses, read_private_listen, read_redirect, read_server,
)
from relayd.ops.configfile_mail import read_console, read_mail
from relayd.ops.configfile_operator import judge_operator, read_operator
from relayd.ops.configfile_payments import judge_payments, read_payments
from relayd.ops.configfile_plan import read_plans
from relayd.ops.configfile_prices import read_price_book
from relayd.ops.configfile_provider import read_providers
from relayd.ops.configfile_route import read_routes
from relayd.ops.configfile_section import Section
from relayd.ops.configfile_store import read_store
from relayd.ops.configfile_terms import judge_terms
from relayd.ops.tomlfile import file_text, parsed

__all__ = ["ConfigError", "Fault", "Reading", "default_path", "examine", "load", "loads"]

PATH_VARIABLE: Final = "RELAYD_CONFIG"
PATH_DEFAULT: Final = "/etc/relayd/relayd.toml"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_DEFAULTS: Final = {item.name: str(item.default) for item in fields(Config)}
_TABLE_NAMES: Final = {"provider": "providers", "route": "routes", "models": "routes",
                       "listen": "server", "limit": "limits", "logging": "log",
                       "price": "prices"}
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file: `config` is None exactly where there are faults."""

    config: Config | None
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)


def default_path() -> str:
    """The file that commands use without -c: $RELAYD_CONFIG, then /etc/relayd/relayd.toml."""
    return os.environ.get(PATH_VARIABLE) or PATH_DEFAULT


def hash_seed_chosen(environ: Mapping[str, str] | None = None) -> bool:
    """Whether somebody chose the key of Python's hashes, so that it may be known."""
    given = os.environ if environ is None else environ
    return given.get("PYTHONHASHSEED", "") not in ("", "random")


def activated_sockets(environ: Mapping[str, str] | None = None) -> int:
    """How many listening sockets systemd handed over, from descriptor 3 on (sd_listen_fds(3))."""
    given = os.environ if environ is None else environ
    count = given.get("LISTEN_FDS", "")
    if given.get("LISTEN_PID") != str(os.getpid()) or not count.isascii() or not count.isdigit():
        return 0
    return int(count)


def environment() -> Mapping[str, str]:
    """The whole of it, for a program that starts itself anew."""
    return os.environ


def notify_socket(environ: Mapping[str, str] | None = None) -> tuple[str | None, float]:
    """Where systemd listens, and its watchdog's seconds, 0 without one (sd_notify(3))."""
    given = os.environ if environ is None else environ
    period = given.get("WATCHDOG_USEC", "")
    mine = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    seconds = int(period) / 1_000_000 if mine and period.isascii() and period.isdigit() else 0.0
    return given.get("NOTIFY_SOCKET") or None, seconds


def load(path: str | os.PathLike[str], *, secrets: Secrets = "resolve") -> Config:
    """The configuration of a file; raises ConfigError with all its faults.

    `secrets="skip"` is for commands that need the store alone: providers come without credentials.
    """
    return _config(examine(path, secrets=secrets), os.fspath(path))


def loads(
    text: str, *, environ: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] = ".", secrets: Secrets = "resolve",
) -> Config:
    """The same from a text. `environ` None: the process's own; `folder`: of relative paths."""
    return _config(examine_text(text, environ=environ, folder=folder, secrets=secrets))


def examine(path: str | os.PathLike[str], *, secrets: Secrets = "resolve") -> Reading:
    """Reads a file to the end, whatever is wrong with it; never raises for its content."""
    text = file_text(path, "Name it with -c FILE or in $RELAYD_CONFIG")
    if isinstance(text, Fault):
        return Reading(None, [text])
    folder = FilePath(os.path.abspath(path)).parent
    return examine_text(text, folder=folder, secrets=secrets)


def examine_text(
    text: str, *, environ: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] = ".", secrets: Secrets = "resolve",
) -> Reading:
    """The same for a text."""
    text = text.replace("\r\n", "\n")
    values = parsed(text)
    if isinstance(values, Fault):
        return Reading(None, [values])
    findings = Findings(key_lines(text))
    around = Surroundings(os.environ if environ is None else environ,
                          FilePath(os.path.abspath(folder)), secrets)
    config = _read(Section(values, (), findings), around)
    faults = in_order(findings.faults)
    return Reading(None if faults else config, faults, in_order(findings.warnings))


def _config(reading: Reading, file: str = "") -> Config:
    if reading.config is None:
        raise ConfigError(reading.faults, file)
    return reading.config


def _read(root: Section, around: Surroundings) -> Config:
    providers = read_providers(root.table("providers"), around)
    log, console = root.table("log"), root.table("console")
    config = Config(
        providers=providers,
        routes=read_routes(root.table("routes"), providers),
        server=read_server(root.table("server"), around),
        console=read_console(console),
        console_redirect=read_redirect(console),
        console_listen=read_private_listen(console, _DEFAULTS["console_listen"]),
        ops_listen=read_private_listen(root.table("ops"), _DEFAULTS["ops_listen"]),
        store=read_store(root.table("store"), around),
        metering=_metering(root.table("metering")),
        limits=read_limits(root.table("limits")),
        prices=read_price_book(root.table("prices"), around),
        billing=_billing(root.table("billing")),
        plans=read_plans(root.table("plans")),
        privacy=_privacy(root.table("privacy")),
        abuse=read_abuse(root.table("abuse")),
        retention=_retention(root.table("retention")),
        log_level=cast(Literal["debug", "info", "warning", "error"],
                       log.choice("level", LOG_LEVELS, "info")),
        log=_log(log),
        operator=read_operator(root.table("operator")),
        mail=read_mail(root.table("mail"), around),
        identity=read_identity(root.table("identity"), around),
        payments=read_payments(root.table("payments"), around),
        invoices=read_invoices(root.table("invoices")),
    )
    log.done()
    judge_operator(root, config)
    judge_payments(root, config)
    judge_terms(root, config)
    judge_identity(root, config)
    judge_invoices(root, config)
    judge_addresses(root, config)
    root.done(_TABLE_NAMES)
    for name in ("providers", "routes"):
        if not root.values.get(name):
            root.warning(name, "is empty: no model is served", f"Add a table [{name}.NAME]")
    return config


def _log(section: Section) -> LogConfig:
    default = LogConfig()
    return LogConfig(
        cast(Literal["off", "errors", "all"],
             section.choice("access", ("off", "errors", "all"), default.access)),
        section.number("access_sample", default.access_sample, 0, 1),
        cast(Literal["json", "journald"],
             section.choice("format", ("json", "journald"), default.format)))


def _metering(section: Section) -> MeteringConfig:
    default = MeteringConfig()
    config = MeteringConfig(
        mode=cast(Literal["inline", "audit"],
                  section.choice("mode", ("inline", "audit"), default.mode)),
        audit_every=section.integer("audit_every", default.audit_every, 1, 1_000_000),
        flush_seconds=section.number("flush_seconds", default.flush_seconds, 0.01, 60.0),
        sync_ms=section.integer("sync_ms", default.sync_ms, 0, 10_000),
    )
    section.done()
    return config


def _billing(section: Section) -> BillingConfig:
    default = BillingConfig()
    config = BillingConfig(
        prepaid=section.boolean("prepaid", default.prepaid),
        output_tokens=section.integer("output_tokens", default.output_tokens, 1, 10_000_000),
        output_tokens_max=section.integer(
            "output_tokens_max", default.output_tokens_max, 1, 10_000_000),
        input_tokens_max=section.integer(
            "input_tokens_max", default.input_tokens_max, 1, 10_000_000),
        paid_tiers=cast(Literal["drop", "pass"], section.choice(
            "paid_tiers", ("drop", "pass"), default.paid_tiers)),
        unpriced=cast(Literal["serve", "refuse"], section.choice(
            "unpriced", ("serve", "refuse"), default.unpriced)),
    )
    if config.output_tokens > config.output_tokens_max:
        section.fault("output_tokens", "is above output_tokens_max")
    section.done()
    return config


def _privacy(section: Section) -> PrivacyConfig:
    default = PrivacyConfig()

    def choice(name: str, *words: str) -> str:
        return section.choice(name, words, str(getattr(default, name)))

    config = PrivacyConfig(
        end_user=cast(Literal["absent", "account", "enduser"],
                      choice("end_user", "absent", "account", "enduser")),
        cache_key=cast(Literal["absent", "hashed"], choice("cache_key", "absent", "hashed")),
        unknown_fields=cast(Literal["drop", "refuse", "pass"],
                            choice("unknown_fields", "drop", "refuse", "pass")),
        pass_fields=_pass_fields(section.table("pass_fields")),
        remote_mcp=cast(Literal["off", "on"], choice("remote_mcp", "off", "on")),
        product_betas=cast(Literal["pass", "drop"], choice("product_betas", "pass", "drop")),
        training=cast(Literal["lenient", "strict"], choice("training", "lenient", "strict")),
        wipe_memory=section.boolean("wipe_memory", default.wipe_memory),
    )
    section.done()
    return config


def _pass_fields(section: Section) -> dict[str, frozenset[str]]:
    def problem(name: str) -> str:
        return "" if _FIELD.fullmatch(name) else "is not the name of a body field"

    found = {api: frozenset(section.texts(api, (), problem))
             for api in ("openai", "anthropic", "gemini")}
    section.done({"azure": "openai"})
    return {api: names for api, names in found.items() if names}


def _retention(section: Section) -> RetentionConfig:
    chosen = {each.option: _term(section, each, each.option) for each in CHOICES if each.option}
    section.done({"days": "call_records_days"})
    return RetentionConfig(**chosen)


def _term(section: Section, category: Category, option: str) -> int:
    value = section.values.get(option)
    if type(value) is int and value < category.floor:
        section.raw(option)
        section.fault(option, problem(category, value),
                      f"It takes a whole number from {category.floor} to {category.most}")
        return category.default
    return section.integer(option, category.default, category.floor, category.most)
