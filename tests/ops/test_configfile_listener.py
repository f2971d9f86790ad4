"""`[server]`, `[console]`, `[ops]`: addresses, TLS, and the range of every limit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import trustme

from relayd.ops.config import Config, ServerConfig, TlsFiles
from relayd.ops.configfile_credential import Secrets, Surroundings
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_listener import (
    INTEGERS, NUMBERS, judge_addresses, read_private_listen, read_redirect, read_server,
)
from relayd.ops.configfile_section import Section


def read(
    folder: Path = Path("/"), secrets: Secrets = "resolve", **values: object,
) -> tuple[ServerConfig, Findings]:
    findings = Findings()
    around = Surroundings({}, folder, secrets)
    return read_server(Section(values, ("server",), findings), around), findings


def test_defaults_are_those_of_config() -> None:
    server, findings = read()
    assert server == ServerConfig() and not findings.faults and not findings.warnings


def test_every_number_of_server_config_has_a_range() -> None:
    numbers = {f.name for f in fields(ServerConfig) if type(f.default) in (int, float)}
    assert numbers == INTEGERS.keys() | NUMBERS.keys()


@pytest.mark.parametrize("name", sorted(INTEGERS | NUMBERS))
def test_ranges(name: str) -> None:
    low, high = (INTEGERS | NUMBERS)[name]
    for value in (low, high):
        server, findings = read(**{name: value})
        assert getattr(server, name) == value and not findings.faults
    for value in (low - 1, high + 1):
        server, findings = read(**{name: value})
        assert getattr(server, name) == getattr(ServerConfig(), name)
        assert [fault.key for fault in findings.faults] == [f"server.{name}"]


@pytest.mark.parametrize(("listen", "tls", "faults", "warnings"), [
    (["127.0.0.1:1", "[::1]:1", "unix:/run/a"], None, 0, 0),
    (["0.0.0.0:1"], None, 1, 0),
    (["127.0.0.1:1", "[::]:1", "10.0.0.1:1"], None, 2, 0),
    (["0.0.0.0:1"], "terminated", 0, 0),
    (["systemd"], None, 0, 1),
    (["systemd"], "terminated", 0, 0),
    (["0.0.0.0:1"], "yes", 1, 0),
    (["0.0.0.0:1"], True, 1, 0),
    (["127.0.0.1:1", "127.0.0.1:1"], None, 1, 0),
    (["127.0.0.1:0", "127.0.0.1:0"], None, 0, 0),
    ([], None, 1, 0),
    (["nonsense"], None, 1, 0),
])
def test_clear_text(listen: list[str], tls: object, faults: int, warnings: int) -> None:
    values = {"listen": listen} | ({} if tls is None else {"tls": tls})
    server, findings = read(**values)
    assert (len(findings.faults), len(findings.warnings)) == (faults, warnings), findings
    assert server.tls_terminated is (tls == "terminated")


def test_clear_text_fault_names_the_item_and_the_ways_out() -> None:
    [fault] = read(listen=["127.0.0.1:1", "0.0.0.0:1"])[1].faults
    assert fault.key == "server.listen[1]"
    assert "terminated" in fault.remedy and "certificate" in fault.remedy


def tls_files(folder: Path, mode: int) -> dict[str, str]:
    made = trustme.CA().issue_cert("relay.example")
    (folder / "tls.crt").write_bytes(made.cert_chain_pems[0].bytes())
    (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
    (folder / "tls.key").chmod(mode)
    return {"certificate": "tls.crt", "key": "tls.key"}


def test_tls_files(tmp_path: Path) -> None:
    server, findings = read(tmp_path, listen=["[::]:1"], tls=tls_files(tmp_path, 0o600))
    assert not findings.faults
    assert server.tls == TlsFiles(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))


def test_tls_key_that_everybody_reads(tmp_path: Path) -> None:
    [fault] = read(tmp_path, tls=tls_files(tmp_path, 0o644))[1].faults
    assert fault.key == "server.tls.key" and fault.remedy == "chmod 0600 it"


def test_tls_files_are_no_pipes(tmp_path: Path) -> None:
    files = tls_files(tmp_path, 0o600)
    os.mkfifo(tmp_path / "pipe")
    for pipe in ("/dev/null", "pipe"):
        with open(os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK), "wb") as writer:
            writer.write(b"-----BEGIN")
            writer.flush()
            [fault] = read(tmp_path, tls=files | {"certificate": pipe})[1].faults
        assert fault.key == "server.tls.certificate" and "pipe" in fault.problem


def test_tls_files_that_do_not_belong_together(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    tls_files(tmp_path / "other", 0o600)
    tls = tls_files(tmp_path, 0o600) | {"key": "other/tls.key"}
    [fault] = read(tmp_path, tls=tls)[1].faults
    assert (fault.key, fault.problem) == (
        "server.tls", "cannot be used (the key is not the certificate's)")


def test_tls_files_that_are_something_else(tmp_path: Path) -> None:
    """Each is told in words, for OpenSSL has one for all of them."""
    files = tls_files(tmp_path, 0o600)
    locked = ["openssl", "pkcs8", "-topk8", "-passout", "pass:x", "-in", files["key"]]
    made = subprocess.run(locked, cwd=tmp_path, capture_output=True, check=True)
    (tmp_path / "locked").write_bytes(made.stdout)
    (tmp_path / "locked").chmod(0o600)
    for change, words in (({"certificate": "/etc/passwd"}, "the certificate is not a PEM file"),
                          ({"key": "tls.crt"}, "the key is not a PEM file"),
                          ({"key": "locked"}, "the key has a password"),
                          ({"key": "none"}, "No such file or directory")):
        (tmp_path / "tls.crt").chmod(0o600)
        [fault] = read(tmp_path, tls=files | change)[1].faults
        assert fault.problem.endswith(f"({words})")


@pytest.mark.parametrize(("now_ms", "words"), [
    (1 << 45, "has ended"), (1 << 39, "is not valid yet")])
def test_a_certificate_that_has_ended_or_is_not_valid_yet_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now_ms: int, words: str
) -> None:
    """At three in the morning clients say what is wrong, and the log of the relay nothing."""
    tls = tls_files(tmp_path, 0o600)
    assert read(tmp_path, tls=tls)[1].warnings == []
    monkeypatch.setattr("relayd.ops.configfile_listener.unix_ms", lambda: now_ms)
    _, findings = read(tmp_path, tls=tls)
    [found] = findings.warnings
    assert found.key == "server.tls.certificate" and words in found.problem
    assert findings.faults == []


@pytest.mark.parametrize(("tls", "keys"), [
    ({}, ["server.tls.certificate", "server.tls.key"]),
    ({"certificate": "none", "key": "none"}, ["server.tls.certificate", "server.tls.key"]),
    ({"cert": "none", "key": 1}, ["server.tls.certificate", "server.tls.cert", "server.tls.key"]),
])
def test_tls_faults(tls: dict[str, object], keys: list[str], tmp_path: Path) -> None:
    assert sorted(f.key for f in read(tmp_path, tls=tls)[1].faults) == sorted(keys)


def test_a_key_that_systemd_lays_there_is_not_missed_before_its_unit_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LoadCredential=tls.key:...`: the configuration is checked before the first start."""
    monkeypatch.setattr("relayd.ops.configfile_credential.CREDENTIALS", tmp_path)
    tls = tls_files(tmp_path, 0o600) | {"key": "relayd.service/tls.key"}
    server, findings = read(tmp_path, "examine", tls=tls)
    [warning] = findings.warnings
    assert warning.key == "server.tls.key" and "its unit does not run" in warning.problem
    assert findings.faults == []
    assert server.tls == TlsFiles(str(tmp_path / "tls.crt"), "")
    [fault] = read(tmp_path, "resolve", tls=tls)[1].faults
    (tmp_path / "relayd.service").mkdir()  # the unit runs, and has no such line
    [other] = read(tmp_path, "examine", tls=tls)[1].faults
    assert fault == other and fault.remedy == "Check its path and its mode"


def test_skip_opens_no_file(tmp_path: Path) -> None:
    _, findings = read(tmp_path, "skip", tls={"certificate": "none", "key": "none"})
    assert not findings.faults


def test_lists() -> None:
    server, findings = read(trusted_proxies=["10.0.0.0/8"], cors_origins=["https://a.example"],
                            connections_per_address_max=9)
    assert server.trusted_proxies == ("10.0.0.0/8",) and not findings.faults
    assert not findings.warnings
    assert server.cors_origins == ("https://a.example",)
    _, findings = read(trusted_proxies=["10.0.0.1/8"], cors_origins=["a.example"])
    assert [f.key for f in findings.faults] == [
        "server.trusted_proxies[0]", "server.cors_origins[0]"]


@pytest.mark.parametrize(("listen", "proxies", "faults"), [
    ("127.0.0.1:1", ["10.0.0.0/8"], []),
    ("127.0.0.1:1", [], ["server.proxy_protocol[0]"]),
    ("unix:/run/relayd.sock", [], []),
    ("[::1]:1", ["::ffff:10.0.0.0/104"], []),
])
def test_a_balancer_that_says_who_its_client_is_must_be_trusted(
    listen: str, proxies: list[str], faults: list[str]
) -> None:
    server, findings = read(listen=[listen, "127.0.0.1:2"], proxy_protocol=[listen],
                            trusted_proxies=proxies)
    assert [f.key for f in findings.faults] == faults
    assert server.proxy_protocol == (listen,)


def test_it_must_be_an_address_of_listen() -> None:
    _, findings = read(listen=["127.0.0.1:1"], proxy_protocol=["127.0.0.1:2"],
                       trusted_proxies=["10.0.0.0/8"])
    assert [f.key for f in findings.faults] == ["server.proxy_protocol[0]"]


def test_unknown_key() -> None:
    assert read(bind="127.0.0.1:1")[1].faults[0].remedy == "Did you mean 'listen'?"


@pytest.mark.parametrize(("values", "listen", "faults"), [
    ({}, "127.0.0.1:9", 0),
    ({"listen": "[::1]:1"}, "[::1]:1", 0),
    ({"listen": "unix:/run/ops"}, "unix:/run/ops", 0),
    ({"listen": "0.0.0.0:1"}, "0.0.0.0:1", 1),
    ({"listen": "0.0.0.0:1", "tls": "terminated"}, "0.0.0.0:1", 0),
    ({"listen": "0.0.0.0:1", "tls": {"key": "k"}}, "0.0.0.0:1", 1),
    ({"listen": "systemd"}, "127.0.0.1:9", 1),
    ({"listen": "x"}, "127.0.0.1:9", 1),
    ({"listen": ["127.0.0.1:1"]}, "127.0.0.1:9", 1),
    ({"port": 1}, "127.0.0.1:9", 1),
])
def test_private_listen(values: dict[str, object], listen: str, faults: int) -> None:
    findings = Findings()
    assert read_private_listen(Section(values, ("ops",), findings), "127.0.0.1:9") == listen
    assert len(findings.faults) == faults


@pytest.mark.parametrize(("values", "listen", "faults"), [
    ({}, "", 0),
    ({"redirect": "0.0.0.0:80", "url": "https://console.example.org"}, "0.0.0.0:80", 0),
    ({"redirect": "[::]:80", "url": "https://console.example.org"}, "[::]:80", 0),
    ({"redirect": "0.0.0.0:80"}, "0.0.0.0:80", 1),
    ({"redirect": "0.0.0.0:80", "url": "http://127.0.0.1:8081"}, "0.0.0.0:80", 1),
    ({"redirect": "0.0.0.0:80", "url": "https://b\u00fccher.example"}, "0.0.0.0:80", 1),
    ({"redirect": "systemd", "url": "https://console.example.org"}, "", 1),
    ({"redirect": "unix:/run/x", "url": "https://console.example.org"}, "", 1),
    ({"redirect": "80", "url": "https://console.example.org"}, "", 1),
])
def test_D1_redirect_needs_to_know_where_to(
    values: dict[str, object], listen: str, faults: int,
) -> None:
    findings = Findings()
    assert read_redirect(Section(values, ("console",), findings)) == listen
    assert len(findings.faults) == faults


@pytest.mark.parametrize(("server", "ops", "console", "faults"), [
    ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", []),
    ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2", ["ops.listen"]),
    ("0.0.0.0:1", "127.0.0.1:2", "127.0.0.1:1", ["console.listen"]),
    ("127.0.0.1:1", "[::1]:1", "127.0.0.2:1", []),
    ("[::]:1", "127.0.0.1:1", "127.0.0.1:2", []),
    ("systemd", "unix:/a", "unix:/a", ["console.listen"]),
    ("systemd", "unix:/a", "unix:/b", []),
])
def test_two_listeners_cannot_have_one_address(
    server: str, ops: str, console: str, faults: list[str],
) -> None:
    findings = Findings()
    judge_addresses(Section({}, (), findings), Config(
        {}, (), server=ServerConfig((server,)), ops_listen=ops, console_listen=console))
    assert [fault.key for fault in findings.faults] == faults
