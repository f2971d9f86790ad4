"""The whole file: the example, syntax, sections, every fault at once, no secret in any text."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.operator import Operator
from relayd.core.provider import DataTerms, Provider, Timeouts
from relayd.core.retention import CHOICES, Category
from relayd.core.route import Deployment
from relayd.ops import config as values
from relayd.ops.config import Config, MeteringConfig, PrivacyConfig, StoreConfig
from relayd.ops.configfile import (
    ConfigError, activated_sockets, default_path, examine, examine_text, hash_seed_chosen, load,
    loads, notify_socket,
)
from tests.shared import ROOT

EXAMPLE = ROOT / "config" / "relayd.example.toml"
ENVIRON = {"OPENAI_API_KEY": "sk-one", "ANTHROPIC_API_KEY": "sk-two", "GEMINI_API_KEY": "sk-three"}
MINIMAL = '''
[providers.openai]
api = "openai"
base_url = "https://api.openai.com/v1"
credential = { env = "OPENAI_API_KEY" }
[routes."gpt-*"]
deployments = [{ provider = "openai" }]
'''
SECTIONS = {
    "server": values.ServerConfig, "store": StoreConfig, "metering": MeteringConfig,
    "limits": values.LimitsConfig, "privacy": PrivacyConfig, "retention": values.RetentionConfig,
    "console": values.ConsoleConfig, "operator": Operator,
}


def test_minimal_is_all_defaults() -> None:
    config = loads(MINIMAL, environ=ENVIRON)
    assert config == Config(config.providers, config.routes)
    assert config.providers["openai"].credentials == ("sk-one",)
    assert examine_text(MINIMAL, environ=ENVIRON).warnings == []


@pytest.mark.parametrize(("environ", "chosen"), [
    ({}, False), ({"PYTHONHASHSEED": "random"}, False), ({"PYTHONHASHSEED": ""}, False),
    ({"PYTHONHASHSEED": "0"}, True), ({"PYTHONHASHSEED": "123"}, True),
])
def test_a_key_of_hashes_that_somebody_chose(environ: dict[str, str], chosen: bool) -> None:
    assert hash_seed_chosen(environ) is chosen


def test_empty_file_is_usable_and_says_that_nothing_is_served() -> None:
    reading = examine_text("", environ={})
    assert reading.config == Config({}, ())
    assert [warning.key for warning in reading.warnings] == ["providers", "routes"]


def test_example_is_all_defaults() -> None:
    config = loads(EXAMPLE.read_text("utf-8"), environ=ENVIRON)
    assert config == Config(config.providers, config.routes)
    assert [p.credentials for p in config.providers.values()] == [
        ("sk-one",), ("sk-two",), ("sk-three",)]
    assert not examine_text(EXAMPLE.read_text("utf-8"), environ=ENVIRON).warnings


def example_keys(section: str) -> set[str]:
    """Keys that the example sets or shows in a comment, in the tables `[section]` and below it."""
    found, here = set(), False
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if header := re.match(r"(?:# )?\[([a-z_]+)", line):
            here = header[1] == section
        if here:
            found |= set(re.findall(r"(?:^(?:# )?|[{,] )([a-z_]+) = ", line))
    return found


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_example_has_every_option(section: str) -> None:
    names = {field.name for field in fields(SECTIONS[section])} - {"tls_terminated"}
    assert names - {"hosting", "processors"} <= example_keys(section)


def test_example_has_every_option_of_providers_and_routes() -> None:
    resolved = {"name": "api", "address": "base_url", "credentials": "credential"}
    names = {resolved.get(field.name, field.name) for field in fields(Provider)}
    names |= {field.name for part in (Timeouts, DataTerms) for field in fields(part)}
    assert names - {"terms"} <= example_keys("providers")
    own = {field.name for field in fields(Deployment)} - {"terms"}
    assert own <= example_keys("routes")


def test_example_has_every_table_of_config() -> None:
    tables = tomllib.loads(EXAMPLE.read_text("utf-8")).keys()
    files = {"console_listen": "console", "console_redirect": "console", "ops_listen": "ops",
             "log_level": "log"}
    assert {files.get(field.name, field.name) for field in fields(Config)} == tables


def test_every_fault_in_one_pass_with_its_line() -> None:
    text = '''[server]
listen = ["0.0.0.0:80"]
max_bdy_bytes = 1
[metering]
mode = "inlin"
[providers.x]
api = "openai"
base_url = "https://api.openai.com/v1"
credential = "sk-literal"
[routes."m"]
deployments = [
  { provider = "x" },
  { provider = "y" },
]
[ops]
listen = 9464
'''
    reading = examine_text(text, environ={})
    assert reading.config is None
    assert [(fault.line, fault.key) for fault in reading.faults] == [
        (2, "server.listen[0]"), (3, "server.max_bdy_bytes"), (5, "metering.mode"),
        (9, "providers.x.credential"), (13, "routes.m.deployments[1].provider"),
        (16, "ops.listen")]
    assert reading.faults[1].remedy == "Did you mean 'max_body_bytes'?"
    with pytest.raises(ConfigError) as caught:
        loads(text, environ={})
    assert len(caught.value.faults) == 6 and "sk-literal" not in str(caught.value)


@pytest.mark.parametrize("table", sorted(
    (tomllib.loads(EXAMPLE.read_text("utf-8")).keys() | {
        "providers.openai", 'routes."gpt-*"', "operator.hosting", "payments.partners.x"})
    - {"providers", "routes", "prices"}))
def test_what_no_table_has_is_a_fault_in_each(table: str) -> None:
    text = f"{MINIMAL}[{table}]\n" if f"[{table}]" not in MINIMAL else MINIMAL.replace(
        f"[{table}]", f"[{table}]\nzebra = 1")
    text += "" if "zebra" in text else "zebra = 1"
    keys = [fault.key.split(".")[-1] for fault in examine_text(text, environ=ENVIRON).faults]
    assert "zebra" in keys


@pytest.mark.parametrize(("tokens", "most", "fine"), [(5, 5, True), (6, 5, False)])
def test_what_is_reserved_is_not_above_its_bound(tokens: int, most: int, fine: bool) -> None:
    text = f"{MINIMAL}[billing]\noutput_tokens = {tokens}\noutput_tokens_max = {most}"
    found = [fault.key for fault in examine_text(text, environ=ENVIRON).faults]
    assert found == ([] if fine else ["billing.output_tokens"])


@pytest.mark.parametrize(("line", "tokens"), [("", 1 << 20), ("input_tokens_max = 5", 5)])
def test_what_is_reserved_for_input_without_a_bound(line: str, tokens: int) -> None:
    config = examine_text(f"{MINIMAL}[billing]\n{line}", environ=ENVIRON).config
    assert config is not None and config.billing.input_tokens_max == tokens


@pytest.mark.parametrize(("value", "fine"), [("serve", True), ("refuse", True), ("drop", False)])
def test_models_without_a_price(value: str, fine: bool) -> None:
    examined = examine_text(f'{MINIMAL}[billing]\nunpriced = "{value}"', environ=ENVIRON)
    assert [fault.key for fault in examined.faults] == ([] if fine else ["billing.unpriced"])
    assert not fine or examined.config is not None and examined.config.billing.unpriced == value


@pytest.mark.parametrize(("environ", "told"), [
    ({}, (None, 0.0)), ({"NOTIFY_SOCKET": ""}, (None, 0.0)),
    ({"NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": "1500000"}, ("@a", 1.5)),
    ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, (None, 1.5)),
    ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, (None, 0.0)),
    ({"WATCHDOG_USEC": "soon"}, (None, 0.0)), ({"WATCHDOG_USEC": "\u00b2"}, (None, 0.0)),
])
def test_where_systemd_listens(
    environ: dict[str, str], told: tuple[str | None, float]
) -> None:
    assert notify_socket(environ) == told


@pytest.mark.parametrize(("text", "line"), [
    ("a = \n", 1), ("\n\nkey = sk-secret-unquoted\n", 3), ("[a]\n[a]\n", 2),
    ("a = 'sk-secret\n", 2), ("a = '''x\n\n", 3),
])
def test_syntax(text: str, line: int) -> None:
    [fault] = examine_text(text, environ={}).faults
    assert fault.line == line and "not TOML" in fault.problem and "sk-secret" not in str(fault)


def test_nested_too_deeply() -> None:
    [fault] = examine_text("a = " + "[" * 100_000, environ={}).faults
    assert "nested" in fault.problem


@pytest.mark.parametrize(("text", "key"), [
    ("[provider.x]", "provider"), ("x = 1", "x"), ("server = 1", "server"),
    ("[store]\npath = 1", "store.path"), ("[store]\ndir = 'x'", "store.dir"),
    ("[log]\nlevel = 'verbose'", "log.level"), ("[log]\nfile = 'x'", "log.file"),
    ("[metering]\naudit_every = 0", "metering.audit_every"),
    ("[metering]\nflush_seconds = 0", "metering.flush_seconds"),
    ("[metering]\nsync_ms = -1", "metering.sync_ms"),
    ("[limits]\nconcurrent = -1", "limits.concurrent"), ("[limits]\nrpm = 1", "limits.rpm"),
    ("[privacy]\nend_user = 'name'", "privacy.end_user"),
    ("[privacy]\ncache_key = 'raw'", "privacy.cache_key"),
    ("[privacy]\nunknown_fields = 'keep'", "privacy.unknown_fields"),
    ("[privacy]\nremote_mcp = true", "privacy.remote_mcp"),
    ("[privacy]\nproduct_betas = 'on'", "privacy.product_betas"),
    ("[privacy]\npass_fields = { openai = 'top_k' }", "privacy.pass_fields.openai"),
    ("[privacy]\npass_fields = { openai = ['a b'] }", "privacy.pass_fields.openai[0]"),
    ("[privacy]\npass_fields = { azure = ['a'] }", "privacy.pass_fields.azure"),
    ("[retention]\ncall_records_days = 183", "retention.call_records_days"),
    ("[retention]\ncall_records_days = 190.0", "retention.call_records_days"),
    ("[retention]\nmail_link_minutes = 40", "retention.mail_link_minutes"),
    ("[retention]\ncontent_days = 1", "retention.content_days"),
    ("[retention]\nnetwork_records_days = 36501", "retention.network_records_days"),
    ("[console]\nlisten = '0.0.0.0:1'", "console.listen"),
])
def test_faults_of_sections(text: str, key: str) -> None:
    assert [fault.key for fault in examine_text(text, environ={}).faults] == [key]


def test_values_arrive() -> None:
    config = loads(MINIMAL + '''
[console]
listen = "[::1]:1"
[ops]
listen = "127.0.0.1:2"
[store]
path = "data"
[log]
level = "debug"
access = "all"
access_sample = 0.25
format = "journald"
[metering]
mode = "audit"
audit_every = 7
flush_seconds = 2
sync_ms = 0
[privacy]
end_user = "account"
cache_key = "absent"
unknown_fields = "refuse"
pass_fields = { openai = ["top_k"], gemini = [] }
remote_mcp = "on"
product_betas = "drop"
[retention]
call_records_days = 184
network_records_days = 200
ticket_days = 9
''', environ=ENVIRON, folder="/etc/relayd")
    assert (config.console_listen, config.ops_listen) == ("[::1]:1", "127.0.0.1:2")
    assert config.store == StoreConfig("/etc/relayd/data") and config.log_level == "debug"
    assert config.log == values.LogConfig("all", 0.25, "journald")
    assert config.metering == MeteringConfig("audit", 7, 2.0, 0)
    assert config.privacy == PrivacyConfig(
        "account", "absent", "refuse", {"openai": frozenset({"top_k"})}, "on", "drop")
    assert config.retention == values.RetentionConfig(
        call_records_days=184, network_records_days=200, ticket_days=9)
    assert config.retention.terms().value("tickets") == 9


@pytest.mark.parametrize("category", CHOICES, ids=lambda each: each.name)
def test_R1_a_term_below_its_floor_is_a_fault_with_words(category: Category) -> None:
    text = f"[retention]\n{category.option} = {category.floor - 1}"
    [fault] = examine_text(text, environ={}).faults
    assert fault.key == f"retention.{category.option}"
    assert category.basis in fault.problem and str(category.floor) in fault.remedy
    text = f"[retention]\n{category.option} = {category.floor}"
    assert examine_text(text, environ={}).faults == []


def test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "relayd.toml"
    path.write_bytes((MINIMAL + "[store]\npath = 'data'\n").replace("\n", "\r\n").encode())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    config = load(path)
    assert config.providers["openai"].credentials == ("sk-env",)
    assert config.store.path == str(tmp_path / "data")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert [fault.line for fault in examine(path).faults] == [5]
    assert load(path, secrets="skip").providers["openai"].credentials == ()


@pytest.mark.parametrize(("data", "words"), [
    (None, "cannot be read: No such file or directory"),
    (b"a = 1\n\xff", "not UTF-8"),
    (b"#" * (4 * 1024 * 1024 + 1), "larger than"),
])
def test_unreadable_file(data: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "relayd.toml"
    if data is not None:
        path.write_bytes(data)
    [fault] = examine(path).faults
    assert words in fault.problem
    with pytest.raises(ConfigError):
        load(path)


def test_default_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RELAYD_CONFIG", raising=False)
    assert default_path() == "/etc/relayd/relayd.toml"
    monkeypatch.setenv("RELAYD_CONFIG", "/x.toml")
    assert default_path() == "/x.toml"


_CANARY = "canary9f3e"
_ANY = st.recursive(
    st.sampled_from([f"'{_CANARY}'", "1", "true", "1.5", "1979-05-27", f"'sk-{_CANARY} x'"]),
    lambda inner: st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
    | inner.map(lambda item: "{ env = " + item + " }"), max_leaves=4)


_KEYS = st.sampled_from(sorted(
    f"{section}.{field.name}" for section, kind in SECTIONS.items() for field in fields(kind)
) + ["providers.p.credential", "providers.p.base_url", "providers.p.headers.x",
     "providers.p.proxy", "providers.p.api", "providers.p", "routes.m.deployments", "log.level",
     "ops.listen"])


@given(st.lists(st.tuples(_KEYS, _ANY), max_size=3, unique_by=lambda pair: pair[0]))
def test_any_value_gives_a_reading_and_no_fault_repeats_it(pairs: list[tuple[str, str]]) -> None:
    reading = examine_text("".join(f"{key} = {value}\n" for key, value in pairs), environ={})
    assert (reading.config is None) is bool(reading.faults)
    assert _CANARY not in " ".join(map(str, reading.faults + reading.warnings))


@pytest.mark.parametrize(("ours", "count", "sockets"), [
    (True, "2", 2), (True, "", 0), (True, "x", 0), (False, "2", 0),
])
def test_sockets_that_systemd_hands_over(ours: bool, count: str, sockets: int) -> None:
    environ = {"LISTEN_PID": str(os.getpid() if ours else 1), "LISTEN_FDS": count}
    assert activated_sockets(environ) == sockets
