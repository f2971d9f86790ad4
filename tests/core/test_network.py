"""Network records: closed names of clients, the client behind proxies, prefixes, months."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.network import (
    CLIENTS, FORWARDED_BYTES_MAX, PREFIXES_MAX, NetworkRecord, Prefixes, address_of, client_name,
    forwarded, month_ended_ms, month_name, network_of, prefix, pseudonym, tls_version,
)
from tests.shared import shared

NEAR = ipaddress.ip_network("10.0.0.0/8")


def trusted(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address in NEAR


@pytest.mark.parametrize(("sent", "name"), [
    (b"OpenAI/Python 3.54.0", "openai-python/3"),
    (b"AsyncOpenAI/Python 2.54.0", "openai-python/2"),
    (b"OpenAI/v1 PythonBindings/0.28.1", "openai-python/0"),
    (b"OpenAI/JS 7.57.0", "openai-node/7"),
    (b"Anthropic/JS 0.122.0", "anthropic-node/0"),
    (b"AsyncAnthropic/Python 2.12.0", "anthropic-python/2"),
    (b"google-genai-sdk/3.4.0 gl-python/3.11.7", "google-genai/3"),
    (b"claude-cli/2.1.330 (external, sdk-cli)", "claude-code/2"),
    (b"codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb", "codex/0"),
    (b"GeminiCLI-tui/0.61.0/gemini-2.5-flash (linux; x64; terminal)", "gemini-cli/0"),
    (b"ai/7.0.173 ai-sdk-provider-utils/5.0.81 node.js/24", "ai-sdk/7"),
    (b"ai-sdk/openai-compatible/2.0.92 ai-sdk/provider-utils/4.0.65", "ai-sdk/2"),
    (b"Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156.0.0.0", "browser"),
    (b"node", "node"), (b"curl/8.5.0", "curl/8"), (b"litellm/1.106.2", "litellm/1"),
    (b"Agents/JavaScript 0.20.0", "openai-agents/0"), (b"AsyncGroq/Python 1.7.0", "groq-python/1"),
    (b"Together/Python 3.1.1", "together/3"), (b"QwenCode/0.15.10 (linux; x64)", "qwen-code/0"),
    (b"@huggingface/inference/4.13.30 Node.js/24", "huggingface/4"),
    (b"Python-urllib/3.11", "python/3"), (b"instructor/1.17.0", "instructor/1"),
    (b"someone's own thing 4.2 on host anna-laptop", "other"),
    (b"", "none"), (None, "none"),
])
def test_clients_by_closed_names(sent: bytes | None, name: str) -> None:
    assert client_name(sent) == name


@given(st.binary(max_size=300))
def test_I2d_nothing_of_the_field_s_own_words_is_kept(sent: bytes) -> None:
    name, _, major = client_name(sent).partition("/")
    assert name in CLIENTS
    assert major == "" or major.isdigit() and int(major) < 1000


def test_the_clients_that_were_seen_have_names() -> None:
    unnamed = set()
    for path in sorted(shared("client-requests").glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            for request in case["requests"]:
                sent = dict((n.lower(), v) for n, v in request["headers"]).get("user-agent")
                if sent is not None and client_name(sent.encode()) in ("other", "none"):
                    unnamed.add(sent)
    assert unnamed == {"ls/JS 5.23.2"}


@pytest.mark.parametrize(("value", "found"), [
    (b"192.0.2.7", ("192.0.2.7", None)),
    (b"192.0.2.7:4711", ("192.0.2.7", 4711)),
    (b"[2001:db8::7]:4711", ("2001:db8::7", 4711)),
    (b"2001:db8::7", ("2001:db8::7", None)),
    (b"::ffff:192.0.2.7", ("192.0.2.7", None)),
    (b"198.51.100.1, 192.0.2.7, 10.0.0.9", ("192.0.2.7", None)),  # the first is its own word
    (b"10.0.0.5, 10.0.0.9", ("10.0.0.5", None)),
    (b"192.0.2.7, unknown", (None, None)),
    (b"192.0.2.7:99999", ("192.0.2.7", None)),
    (b"", (None, None)), (None, (None, None)),
    (b"1" * (FORWARDED_BYTES_MAX + 1), (None, None)),
    # nobody hides behind a long word of his own
    (b"x" * FORWARDED_BYTES_MAX + b", 192.0.2.7, 10.0.0.9", ("192.0.2.7", None)),
    (b"198.51.100.1," * 200 + b"192.0.2.7", ("192.0.2.7", None)),
    (b"10.0.0.5," + b" " * (FORWARDED_BYTES_MAX - 13) + b"10.0.0.9", ("10.0.0.9", None)),
])
def test_the_client_behind_proxies(
    value: bytes | None, found: tuple[str | None, int | None]
) -> None:
    assert forwarded(value, trusted) == found


@given(st.binary(max_size=200))
def test_any_field_is_read(value: bytes) -> None:
    address, port = forwarded(value, trusted)
    assert address is None and port is None or address_of(address or "") is not None


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_networks_are_the_same_however_they_are_written(
    start: ipaddress.IPv4Address, bits: int, other: ipaddress.IPv4Address
) -> None:
    plain = ipaddress.IPv4Network((start, bits), strict=False)
    mapped = f"::ffff:{plain.network_address}/{96 + bits}"
    assert network_of(str(plain)) == network_of(mapped) == plain
    for written in (f"::ffff:{other}", str(other)):
        found = address_of(written)
        assert found is not None and (found in network_of(mapped)) is (other in plain)


@pytest.mark.parametrize("text", ["::/0", "::fffe:0:0/95", "2001:db8::/32", "::1/128"])
def test_networks_of_ipv6(text: str) -> None:
    assert network_of(text) == ipaddress.IPv6Network(text, strict=False)


def test_prefixes_and_what_stands_for_them() -> None:
    assert prefix("192.0.2.7") == prefix("192.0.2.250") != prefix("192.0.3.7")
    assert prefix("2001:db8:1::7") == prefix("2001:db8:1:ffff::8") != prefix("2001:db8:2::7")
    assert prefix("nobody") is None and pseudonym(b"s", "nobody") is None
    one = pseudonym(b"salt of a day", "192.0.2.7")
    assert one == pseudonym(b"salt of a day", "192.0.2.9")
    assert one is not None and one != pseudonym(b"salt of the next", "192.0.2.7")
    assert prefix("192.0.2.7") not in one


def test_nothing_personal_is_in_a_repr() -> None:
    shown = repr(NetworkRecord(1, "acct_1", "key_1", "192.0.2.7", 4711, "1.3", "curl/8"))
    assert "192.0.2.7" not in shown and "4711" not in shown and "acct_1" in shown


def test_tls_versions_are_closed() -> None:
    assert [tls_version(name) for name in ("TLSv1.3", "TLSv1.2", None, "x")] == [
        "1.3", "1.2", "none", "none"]


@pytest.mark.parametrize(("at_ms", "name", "ended_ms"), [
    (1_764_547_199_999, "2025-11", 1_764_547_200_000),
    (1_764_547_200_000, "2025-12", 1_767_225_600_000),
    (0, "1970-01", 2_678_400_000),
])
def test_months(at_ms: int, name: str, ended_ms: int) -> None:
    assert month_name(at_ms) == name and month_ended_ms(name) == ended_ms
    with pytest.raises(ValueError):
        month_ended_ms("2025-13")


def test_prefixes_of_a_key_within_a_day() -> None:
    dice = iter(range(1, 9))
    found = Prefixes(lambda n: bytes([next(dice)]) * n)
    day = 20_000 * 86_400_000

    def note(at_ms: int, address: str | None, key: str = "key_1") -> None:
        found.note(NetworkRecord(at_ms, "acct_1", key, address, None, "none", "other"))

    for address in ("192.0.2.7", "192.0.2.8", "192.0.3.7", "2001:db8::1", None):
        note(day, address)
    note(day + 5, "192.0.2.7", "key_2")
    assert found.counts(day) == {"key_1": 3, "key_2": 1}
    first = found.salt(day)
    note(day + 86_400_000, "192.0.2.7")
    note(day, "192.0.9.7")  # of yesterday, whose salt is gone
    assert found.counts(day + 86_400_000) == {"key_1": 1}
    assert found.salt(day + 86_400_000) != first
    assert found.counts(day + 2 * 86_400_000) == {}


def test_prefixes_max() -> None:
    found = Prefixes(bytes)
    for n in range(PREFIXES_MAX + 10):
        address = f"10.{n // 256}.{n % 256}.1"
        found.note(NetworkRecord(0, "acct_1", "key_1", address, None, "none", "other"))
    assert found.counts(0) == {"key_1": PREFIXES_MAX}
