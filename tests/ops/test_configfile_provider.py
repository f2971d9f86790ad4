"""`[providers.NAME]`: what becomes a Provider, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from relayd.core.provider import Address, DataTerms, Provider, Proxy, Timeouts
from relayd.ops.configfile_credential import Secrets, Surroundings
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_provider import BASE_URLS, read_providers
from relayd.ops.configfile_section import Section

GOOD = {"api": "openai", "base_url": "https://api.openai.com/v1", "credential": {"env": "KEY"}}


def read(
    table: dict[str, object], name: str = "p", folder: Path = Path("/"),
    secrets: Secrets = "resolve",
) -> tuple[Provider, Findings]:
    findings = Findings()
    around = Surroundings({"KEY": "sk-secret"}, folder, secrets)
    providers = read_providers(Section({name: table}, ("providers",), findings), around)
    return providers[name], findings


def test_defaults_are_those_of_provider() -> None:
    provider, findings = read(dict(GOOD))
    assert provider.terms.trains == "no"  # as its host publishes
    assert replace(provider, terms=DataTerms()) == Provider(
        "p", "openai", Address("https", "api.openai.com", 443, "/v1"), ("sk-secret",))
    assert not findings.faults and not findings.warnings
    assert "sk-secret" not in repr(provider)


def test_everything(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    provider, findings = read(GOOD | {
        "headers": {"HTTP-Referer": "https://example.org"}, "proxy": "socks5://127.0.0.1:1080",
        "on_client_close": "drain",
        "timeouts": {"connect": 1, "first_byte": 2, "idle": 3.5, "total": 4},
        "organization": "org-1", "project": "proj_1", "stream_usage": False, "ca_file": "ca.pem",
        "connections_max": 7, "probe_seconds": 30,
    }, folder=tmp_path)
    assert not findings.faults
    assert provider.headers == (("http-referer", "https://example.org"),)
    assert provider.timeouts == Timeouts(1, 2, 3.5, 4)
    assert (provider.organization, provider.project) == ("org-1", "proj_1")
    assert (provider.proxy, provider.on_client_close) == (
        Proxy("socks5", "127.0.0.1", 1080), "drain")
    assert (provider.stream_usage, provider.connections_max) == (False, 7)
    assert provider.probe_seconds == 30.0
    assert provider.ca_file == str(tmp_path / "ca.pem")
    # what this version does not do yet is said
    assert findings.warnings == []


@pytest.mark.parametrize("api", sorted(BASE_URLS))
def test_the_base_url_that_faults_name_is_right(api: str) -> None:
    _, findings = read(GOOD | {"api": api, "base_url": BASE_URLS[api]})
    assert not findings.faults and not findings.warnings


@pytest.mark.parametrize(("change", "key", "words"), [
    ({"api": None}, "api", "missing"),
    ({"api": "OpenAI"}, "api", "not one of"),
    ({"base_url": None}, "base_url", "missing"),
    ({"base_url": "https://u:sk-x@h/v1"}, "base_url", "user information"),
    ({"base_url": "https://api.openai.com"}, "base_url", "no path"),
    ({"api": "anthropic"}, "base_url", "ends in a version"),
    ({"credential": "sk-x"}, "credential", "literal"),
    ({"api_key": "sk-x"}, "api_key", "not a known key"),
    ({"headers": {"Authorization": "Bearer sk-x"}}, "headers.Authorization", "never literals"),
    ({"headers": {"host": "h"}}, "headers.host", "set by the relay"),
    ({"headers": {"x y": "h"}}, 'headers."x y"', "not a header name"),
    ({"headers": {"x": "a\r\nb: c"}}, "headers.x", "cannot carry"),
    ({"headers": {"x": 1}}, "headers.x", "whole number"),
    ({"headers": {"x": "1", "X": "2"}}, "headers.X", "twice"),
    ({"proxy": "http://u:sk-x@h:1"}, "proxy", "user information"),
    ({"on_client_close": "stop"}, "on_client_close", "not one of"),
    ({"timeouts": {"connect": 0}}, "timeouts.connect", "out of range"),
    ({"timeouts": {"conect": 1}}, "timeouts.conect", "not a known key"),
    ({"api_version": "2024-10-21"}, "api_version", "no meaning"),
    ({"organization": "a b"}, "organization", "may hold"),
    ({"stream_usage": "yes"}, "stream_usage", "text"),
    ({"ca_file": "/none.pem"}, "ca_file", "cannot be used (No such file or directory)"),
    ({"connections_max": 0}, "connections_max", "out of range"),
    ({"probe_seconds": 0.5}, "probe_seconds", "too often"),
])
def test_faults(change: dict[str, object], key: str, words: str) -> None:
    table = {name: value for name, value in (GOOD | change).items() if value is not None}
    _, findings = read(table)
    [fault] = findings.faults
    assert fault.key == f"providers.p.{key}" and words in fault.problem
    assert "sk-x" not in str(fault)


def test_headers_have_a_limit() -> None:
    _, findings = read(GOOD | {"headers": {f"x-{n}": "v" for n in range(33)}})
    assert [fault.key for fault in findings.faults] == ["providers.p.headers"]


@pytest.mark.parametrize("name", ["none", "other", "a b", "", "é", "x" * 64, "-a"])
def test_names_that_are_refused(name: str) -> None:
    assert read(dict(GOOD), name)[1].faults


@pytest.mark.parametrize(("change", "key"), [
    ({"base_url": "http://api.example.org/v1"}, "base_url"),
    ({"base_url": "https://api.example.org"}, "base_url"),
    ({"credential": None}, "credential"),
    ({"base_url": "http://127.0.0.1/v1", "ca_file": "ca.pem"}, "ca_file"),
])
def test_warnings(change: dict[str, object], key: str) -> None:
    table = {name: value for name, value in (GOOD | change).items() if value is not None}
    _, findings = read(table, secrets="skip")
    assert [f.key for f in findings.warnings] == [f"providers.p.{key}"] and not findings.faults


def test_a_local_provider_needs_no_credential() -> None:
    _, findings = read({"api": "openai", "base_url": "http://127.0.0.1:8000/v1"})
    assert not findings.faults and not findings.warnings


def test_azure_versions() -> None:
    azure = GOOD | {"api": "azure", "base_url": "https://n.openai.azure.com",
                    "api_version": "2024-10-21"}
    provider, findings = read(azure)
    assert not findings.faults and provider.api_version == "2024-10-21"
    assert provider.dialect == "openai"


def test_ca_file_that_is_no_pem(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    _, findings = read(GOOD | {"ca_file": "ca.pem"}, folder=tmp_path)
    assert "SSLError" in findings.faults[0].problem
