"""Addresses: which are taken, which are refused, which reach beyond this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.provider import Address, ProviderApi
from relayd.ops.configfile_address import (
    Listen, is_near, listen_problem, network_problem, origin_problem, parse_base_url,
    parse_listen, path_verdict,
)


@pytest.mark.parametrize(("text", "listen", "private"), [
    ("127.0.0.1:8080", Listen("tcp", "127.0.0.1", 8080), True),
    ("127.9.9.9:0", Listen("tcp", "127.9.9.9", 0), True),
    ("[::1]:8443", Listen("tcp", "::1", 8443), True),
    ("localhost:80", Listen("tcp", "localhost", 80), True),
    ("[::]:8443", Listen("tcp", "::", 8443), False),
    ("0.0.0.0:65535", Listen("tcp", "0.0.0.0", 65535), False),
    ("relay.example.org:1", Listen("tcp", "relay.example.org", 1), False),
    ("unix:/run/relayd/api.sock", Listen("unix", path="/run/relayd/api.sock"), True),
    ("systemd", Listen("systemd"), False),
])
def test_listen(text: str, listen: Listen, private: bool) -> None:
    assert parse_listen(text) == listen
    assert parse_listen(text).is_private is private
    assert listen_problem(text) == ""


@pytest.mark.parametrize("text", [
    "", "8080", ":8080", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]",
    "[zz]:80", "[127.0.0.1:80", "1.2.3.4.5:80", "999.0.0.1:80", "unix:", "unix:relative",
    "unix:/" + "a" * 107, "http://127.0.0.1:80", "-x:80", "127.0.0.1:8080 ",
])
def test_listen_refused(text: str) -> None:
    assert listen_problem(text)


@pytest.mark.parametrize(("text", "usable"), [
    ("10.0.0.0/8", True), ("fd00::/8", True), ("192.0.2.1", True),
    ("10.0.0.1/8", False), ("all", False), ("10.0.0.0/33", False),
])
def test_network(text: str, usable: bool) -> None:
    assert (network_problem(text) == "") is usable


@pytest.mark.parametrize(("text", "usable"), [
    ("*", True), ("https://app.example.org", True), ("http://localhost:3000", True),
    ("https://app.example.org/", False), ("app.example.org", False),
    ("https://*.example.org", False),
    ("null", False),
])
def test_origin(text: str, usable: bool) -> None:
    assert (origin_problem(text) == "") is usable


@pytest.mark.parametrize(("text", "address"), [
    ("https://api.openai.com/v1", Address("https", "api.openai.com", 443, "/v1")),
    ("https://API.openai.com/v1/", Address("https", "api.openai.com", 443, "/v1")),
    ("http://127.0.0.1:8000", Address("http", "127.0.0.1", 8000, "")),
    ("http://[::1]:8000/v1", Address("http", "::1", 8000, "/v1")),
    ("http://vllm", Address("http", "vllm", 80, "")),
    ("https://h.example/a/b~c/", Address("https", "h.example", 443, "/a/b~c")),
])
def test_base_url(text: str, address: Address) -> None:
    assert parse_base_url(text) == address


@pytest.mark.parametrize("text", [
    "", "api.openai.com/v1", "ftp://h/", "https://", "https:///v1", "https://u:p@h/v1",
    "https://u@h", "https://h/v1?key=x", "https://h/v1?", "https://h/#", "https://h:0/",
    "https://h:x/", "https://h:99999/", "https://[::1/", "https://h/a b", "https://h/../x",
    "https://h/%2e",
    "https://münchen.example/v1", "https://1.2.3/", "https://h_\t/", "https://-h/", "https://h//x",
])
def test_base_url_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_base_url(text)
    assert "u:p" not in str(caught.value) and "key=x" not in str(caught.value)


@given(st.text())
def test_base_url_on_any_text(text: str) -> None:
    try:
        address = parse_base_url(text)
    except ValueError:
        return
    assert address.host and 0 < address.port < 65536 and not address.path.endswith("/")


@pytest.mark.parametrize(("api", "url", "versioned", "fatal"), [
    ("openai", "https://api.openai.com/v1", False, None),
    ("openai", "https://api.openai.com", False, True),
    ("openai", "https://openrouter.ai/api/v1", False, None),
    ("openai", "https://generativelanguage.googleapis.com/v1beta/openai", False, None),
    ("openai", "https://api.perplexity.ai", False, False),
    ("openai", "https://api.openai.com/v1/chat/completions", False, True),
    ("openai", "https://api.openai.com/v1/v1", False, True),
    ("anthropic", "https://api.anthropic.com", False, None),
    ("anthropic", "https://api.anthropic.com/v1", False, True),
    ("anthropic", "https://api.anthropic.com/v1/messages", False, True),
    ("anthropic", "https://other.example/anthropic", False, None),
    ("gemini", "https://generativelanguage.googleapis.com", False, None),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta", False, True),
    ("azure", "https://n.openai.azure.com/openai/v1", False, None),
    ("azure", "https://n.openai.azure.com", False, True),
    ("azure", "https://n.openai.azure.com", True, None),
    ("azure", "https://n.openai.azure.com/openai/v1", True, True),
])
def test_path_verdict(api: ProviderApi, url: str, versioned: bool, fatal: bool | None) -> None:
    verdict = path_verdict(api, parse_base_url(url), versioned)
    assert (verdict.fatal if verdict else None) == fatal


@pytest.mark.parametrize(("host", "near"), [
    ("127.0.0.1", True), ("10.1.2.3", True), ("::1", True), ("vllm", True), ("gpu.internal", True),
    ("8.8.8.8", False), ("api.openai.com", False),
])
def test_is_near(host: str, near: bool) -> None:
    assert is_near(host) is near
