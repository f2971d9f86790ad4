"""The demo's configuration: three providers that are one loopback server, and usual models.

Law: written twice, as values and as the file that `relayd usage -c` reads; both say the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from relayd.core.operator import Operator
from relayd.core.provider import Address, DataTerms, Provider, ProviderApi
from relayd.core.route import Deployment, Route
from relayd.demo.app import CREDENTIAL
from relayd.demo.models import ANTHROPIC, DEMO, GEMINI, OPENAI, PATTERNS
from relayd.demo.prices import PRICES, demo_prices
from relayd.demo.setup_payments import payments_files, payments_lines
from relayd.ops.config import Config, ConsoleConfig, ServerConfig, StoreConfig
from relayd.ops.config_payments import PaymentsConfig
from relayd.ops.configfile_prices import DEFAULT_FILE

HOST: Final = "127.0.0.1"
CONFIG_FILE: Final = "relayd.toml"
CREDENTIAL_FILE: Final = "demo-credential"
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

# the name, what it speaks, and the path of its base URL
PROVIDERS: Final[tuple[tuple[str, ProviderApi, str], ...]] = (
    ("demo-openai", "openai", "/v1"),
    ("demo-anthropic", "anthropic", ""),
    ("demo-gemini", "gemini", ""),
)
OPERATOR: Final = Operator(
    name="Whoever runs this demo", address="This machine", contact="demo@example.com",
    court="none: this is a demo")
CONSOLE_PORT: Final = 8081
NO_PAYMENTS: Final = PaymentsConfig()
DRAIN_SECONDS: Final = 5
LEAVE_SECONDS: Final = 0.2


def demo_config(
    data_dir: Path, port: int, ops_port: int, upstream_port: int,
    console_port: int = CONSOLE_PORT, payments: PaymentsConfig = NO_PAYMENTS,
) -> Config:
    """The configuration of `relayd demo`; a port may be 0, but not the upstream's."""
    providers = {
        name: Provider(name=name, api=api, address=Address("http", HOST, upstream_port, path),
                       credentials=(CREDENTIAL,), terms=DataTerms("no"))
        for name, api, path in PROVIDERS
    }
    return Config(
        providers=providers, routes=_routes(),
        server=ServerConfig(listen=(f"{HOST}:{port}",), drain_seconds=float(DRAIN_SECONDS),
                            leave_seconds=LEAVE_SECONDS),
        ops_listen=f"{HOST}:{ops_port}",
        console_listen=f"{HOST}:{console_port}",
        console=ConsoleConfig(registration="open"), operator=OPERATOR,
        store=StoreConfig(str(data_dir.absolute())),
        prices=demo_prices(),
        payments=payments,
        log_level="warning",
    )


def _routes() -> tuple[Route, ...]:
    """Every name and pattern leads to all three: the relay picks the one that speaks the API."""
    names = dict.fromkeys((*OPENAI, *ANTHROPIC, *GEMINI, *DEMO, *PATTERNS))
    deployments = tuple(Deployment(name) for name, _, _ in PROVIDERS)
    return tuple(Route(name, deployments) for name in names)


def prepare_directory(data_dir: Path) -> None:
    """Makes the data directory, for the one who started the demo alone. May raise OSError."""
    data_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def write_config(
    data_dir: Path, port: int, ops_port: int, upstream_port: int,
    console_port: int = CONSOLE_PORT, payments: PaymentsConfig = NO_PAYMENTS,
) -> Path:
    """Writes `relayd.toml`, prices and credentials into the directory; returns the file's path.

    `relayd serve -c` on it would run the same relay, with the demo provider missing.
    """
    prepare_directory(data_dir)
    _write(data_dir / CREDENTIAL_FILE, CREDENTIAL + "\n")
    path = data_dir / CONFIG_FILE
    _write(data_dir / DEFAULT_FILE, PRICES)
    for name, secret in payments_files(payments).items():
        _write(data_dir / name, secret if secret.endswith("\n") else secret + "\n")
    _write(path, config_text(port, ops_port, upstream_port, console_port, payments))
    return path


def config_text(
    port: int, ops_port: int, upstream_port: int, console_port: int = CONSOLE_PORT,
    payments: PaymentsConfig = NO_PAYMENTS,
) -> str:
    """The file's text. Paths in it are relative to its own folder."""
    lines = [
        "# Written by relayd demo, at every start. For relayd usage, keys and accounts:",
        f"#   relayd usage --calls -c {CONFIG_FILE}",
        "", "[server]", f'listen = ["{HOST}:{port}"]', f"drain_seconds = {DRAIN_SECONDS}",
        f"leave_seconds = {LEAVE_SECONDS}",
        "", "[ops]", f'listen = "{HOST}:{ops_port}"',
        "", "[console]", f'listen = "{HOST}:{console_port}"', 'registration = "open"',
        "", "[operator]", f'name = "{OPERATOR.name}"', f'address = "{OPERATOR.address}"',
        f'contact = "{OPERATOR.contact}"', f'court = "{OPERATOR.court}"',
        "", "[store]", 'path = "."',
        "", "[log]", 'level = "warning"',
    ]
    for name, api, path in PROVIDERS:
        lines += ["", f"[providers.{name}]", f'api = "{api}"',
                  f'base_url = "http://{HOST}:{upstream_port}{path}"',
                  f'credential = {{ file = "{CREDENTIAL_FILE}" }}']
    for route in _routes():
        places = ", ".join(f'{{ provider = "{d.provider}" }}' for d in route.deployments)
        lines += ["", f'[routes."{route.pattern}"]', f"deployments = [ {places} ]"]
    lines += payments_lines(payments)
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Replaces a file in one step, readable by its owner alone."""
    draft = path.with_name(path.name + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, FILE_MODE)
        file.write(text)
    draft.replace(path)
