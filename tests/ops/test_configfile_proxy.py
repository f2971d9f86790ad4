"""The egress proxy of a provider's table."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from relayd.core.provider import Proxy
from relayd.ops.configfile_credential import Surroundings
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_proxy import read_proxy
from relayd.ops.configfile_section import Section

ENVIRON = {"P": "name:sk-word", "NO_COLON": "sk-word", "LONG": "n:" + "x" * 256, "HALF": ":sk"}


def read(table: dict[str, object], folder: Path = Path("/")) -> tuple[Proxy | None, Findings]:
    findings = Findings()
    section = Section(table, ("providers", "p"), findings)
    found = read_proxy(section, Surroundings(ENVIRON, folder))
    section.done()
    return found, findings


@pytest.mark.parametrize(("text", "proxy"), [
    ("http://h:3128", Proxy("http", "h", 3128)),
    ("https://proxy.example.org:443/", Proxy("https", "proxy.example.org", 443)),
    ("socks5://[::1]:1080", Proxy("socks5", "::1", 1080)),
])
def test_addresses(text: str, proxy: Proxy) -> None:
    found, findings = read({"proxy": text})
    assert found == proxy
    assert not findings.faults and not findings.warnings


def test_none() -> None:
    assert read({})[0] is None


def test_a_credential_and_an_authority(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    found, findings = read({"proxy": "https://proxy.example.org:443",
                            "proxy_credential": {"env": "P"}, "proxy_ca_file": "ca.pem"}, tmp_path)
    assert found == Proxy("https", "proxy.example.org", 443, "name:sk-word",
                          str(tmp_path / "ca.pem"))
    assert not findings.faults and not findings.warnings
    assert "sk-word" not in repr(found)


@pytest.mark.parametrize(("table", "key", "words"), [
    ({"proxy": "http://u:sk-x@h:1"}, "proxy", "user information"),
    ({"proxy": "ftp://h:1"}, "proxy", "not the address of a proxy"),
    ({"proxy": "http://h"}, "proxy", "not the address of a proxy"),
    ({"proxy": "http://h:0"}, "proxy", "not the address of a proxy"),
    ({"proxy": "http://h:1/path"}, "proxy", "not the address of a proxy"),
    ({"proxy": "socks5://a..b:1"}, "proxy", "not the address of a proxy"),  # nobody looks it up
    ({"proxy": "http://" + "x" * 64 + ".org:1"}, "proxy", "not the address of a proxy"),
    ({"proxy": "http://*:1"}, "proxy", "not the address of a proxy"),
    ({"proxy": "http://h:x"}, "proxy", "not a URL"),
    ({"proxy": "http://h:1", "proxy_credential": "n:sk-x"}, "proxy_credential", "literal"),
    ({"proxy": "http://h:1", "proxy_credential": [{"env": "P"}]}, "proxy_credential", "list"),
    ({"proxy": "http://h:1", "proxy_credential": {"env": "NO_COLON"}}, "proxy_credential",
     "name and a password"),
    ({"proxy": "http://h:1", "proxy_credential": {"env": "HALF"}}, "proxy_credential",
     "name and a password"),
    ({"proxy": "http://h:1", "proxy_credential": {"env": "LONG"}}, "proxy_credential",
     "name and a password"),
    ({"proxy": "https://h:1", "proxy_ca_file": "/none.pem"}, "proxy_ca_file", "cannot be used"),
    ({"proxy_credential": {"env": "P"}}, "proxy_credential", "without proxy"),
])
def test_faults(table: dict[str, object], key: str, words: str) -> None:
    _, findings = read(table)
    [fault] = findings.faults
    assert fault.key == f"providers.p.{key}" and words in fault.problem
    assert "sk-" not in str(fault)


@pytest.mark.parametrize(("table", "key"), [
    ({"proxy": "http://proxy.example.org:1", "proxy_credential": {"env": "P"}},
     "proxy_credential"),
])
def test_warnings(table: dict[str, object], key: str) -> None:
    found, findings = read(table)
    assert found is not None and not findings.faults
    assert [warning.key for warning in findings.warnings] == [f"providers.p.{key}"]


def test_an_authority_for_a_proxy_without_tls_has_no_effect(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    _, findings = read({"proxy": "http://h:1", "proxy_ca_file": "ca.pem"}, tmp_path)
    assert [warning.key for warning in findings.warnings] == ["providers.p.proxy_ca_file"]
