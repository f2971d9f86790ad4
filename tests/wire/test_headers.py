"""Header fields: upstream heads are the same for all clients, replies show what is listed."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.azure import _deployments_endpoints

from relayd.core.provider import Address, Provider
from relayd.wire.dialect import BY_OPERATION, ENDPOINTS, Endpoint
from relayd.wire.headers import (
    ANTHROPIC_BETAS, NO_FIELDS, OPENAI_BETAS, PRODUCT_BETAS, ClientFields, UpstreamHead,
    asked_seconds, asked_wait, client_fields, response_fields,
)


def provider(api: Any, path: str = "", **more: Any) -> Provider:
    address = more.pop("address", Address("https", "api.example.org", 443, path))
    return Provider("p", api, address, ("sk-op",), **more)


def head(operation: str, where: Provider, client: ClientFields = NO_FIELDS, *,
         stream: bool = False, model: str = "m", length: int | None = 7) -> bytes:
    made = UpstreamHead(where, BY_OPERATION[operation], "sk-op", stream, "b0undary")
    return made.write(model, client, length)


REST = (b"Accept-Encoding: identity\r\nUser-Agent: relayd\r\n")


def test_openai() -> None:
    where = provider("openai", "/v1", organization="org-1", project="proj_1")
    assert head("chat", where, stream=True) == (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.example.org\r\n"
        b"Authorization: Bearer sk-op\r\nOpenAI-Organization: org-1\r\nOpenAI-Project: proj_1\r\n"
        b"Content-Type: application/json\r\nAccept: text/event-stream\r\n" + REST
        + b"Content-Length: 7\r\n\r\n")


def test_anthropic() -> None:
    client = ClientFields(b"2026-10-21", ("a-2025-01-01", "b-2025-01-01"), beta_path=True)
    assert head("messages", provider("anthropic"), client) == (
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.example.org\r\nx-api-key: sk-op\r\n"
        b"Content-Type: application/json\r\nAccept: application/json\r\n" + REST
        + b"anthropic-version: 2026-10-21\r\nanthropic-beta: a-2025-01-01,b-2025-01-01\r\n"
        b"Content-Length: 7\r\n\r\n")
    assert b"anthropic-version: 2023-06-01\r\nContent-Length" in head(
        "messages", provider("anthropic"))


@pytest.mark.parametrize(("operation", "sse", "target", "accept"), [
    ("generate", False, b"/v1beta/models/m%2Fx:generateContent", b"application/json"),
    ("stream_generate", True, b"/v1beta/models/m%2Fx:streamGenerateContent?alt=sse",
     b"text/event-stream"),
    ("stream_generate", False, b"/v1beta/models/m%2Fx:streamGenerateContent", b"application/json"),
])
def test_gemini(operation: str, sse: bool, target: bytes, accept: bytes) -> None:
    found = head(operation, provider("gemini"), ClientFields(sse=sse),
                 stream=operation.startswith("stream"), model="m/x")
    assert found.startswith(b"POST %b HTTP/1.1\r\n" % target)
    assert b"x-goog-api-key: sk-op\r\n" in found
    assert b"\r\nAccept: %b\r\n" % accept in found


def test_azure() -> None:
    old = head("chat", provider("azure", api_version="2026-01-01 x"), model="gpt/4o")
    assert old.startswith(b"POST /openai/deployments/gpt%2F4o/chat/completions"
                          b"?api-version=2026-01-01%20x HTTP/1.1\r\n")
    assert b"\r\napi-key: sk-op\r\n" in old
    new = head("chat", provider("azure", "/openai/v1", organization="org-1"))
    assert new.startswith(b"POST /openai/v1/chat/completions HTTP/1.1\r\n")
    assert b"org-1" not in new


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each.api == "openai"], ids=lambda each: each.path)
def test_azures_older_paths_are_those_of_its_sdk(endpoint: Endpoint) -> None:
    """Responses, for one, are not below a deployment: there Azure finds nothing."""
    found = head(endpoint.operation, provider("azure", api_version="2025-04-01"), model="d")
    below = b"/deployments/d" if endpoint.upstream in _deployments_endpoints else b""
    assert found.startswith(b"POST /openai%b%b?api-version=2025-04-01 HTTP/1.1\r\n" % (
        below, endpoint.upstream.encode()))


@pytest.mark.parametrize(("address", "host"), [
    (Address("https", "h", 443, ""), b"h"), (Address("https", "h", 8443, ""), b"h:8443"),
    (Address("http", "h", 80, ""), b"h"), (Address("http", "::1", 81, ""), b"[::1]:81"),
])
def test_host(address: Address, host: bytes) -> None:
    assert b"\r\nHost: %b\r\n" % host in head("chat", provider("openai", address=address))


def test_uploads_speech_and_chunks() -> None:
    where = provider("openai", "/v1")
    upload = head("transcription", where, length=None)
    assert b"\r\nContent-Type: multipart/form-data; boundary=b0undary\r\n" in upload
    assert upload.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b"\r\nAccept: */*\r\n" in head("speech", where)


def test_constants_of_the_operator() -> None:
    where = provider("openai", headers=(("http-referer", "https://o"), ("Host", "x"), ("TE", "y")))
    found = head("chat", where)
    assert b"\r\nhttp-referer: https://o\r\n" in found
    assert b": x" not in found and b": y" not in found


@pytest.mark.parametrize("name", [
    "Host", "Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Content-Type", "Accept",
    "Accept-Encoding", "User-Agent", "Anthropic-Version", "Anthropic-Beta", "OpenAI-Beta",
    "OpenAI-Organization", "OpenAI-Project",
    # framing and what belongs to one connection (RFC 9110 section 7.6.1)
    "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade",
    "Expect",
])
def test_a_constant_never_stands_beside_what_the_relay_writes(name: str) -> None:
    where = provider("openai", headers=((name, "own"), (name.lower() + "s", "kept")))
    found = head("chat", where)
    assert b": own\r\n" not in found
    assert b"\r\n%bs: kept\r\n" % name.lower().encode() in found


@pytest.mark.parametrize("beta", sorted(ANTHROPIC_BETAS))
def test_a_beta_is_a_name_and_a_date(beta: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]+-202[4-9]-(0[1-9]|1[0-2])-[0-3][0-9]", beta)


def test_no_credential_no_field_and_no_repr() -> None:
    bare = UpstreamHead(provider("openai"), BY_OPERATION["chat"], "", False)
    assert b"uthorization" not in bare.write("m", NO_FIELDS, 1)
    full = UpstreamHead(provider("openai"), BY_OPERATION["chat"], "sk-op", True)
    assert "sk-op" not in repr(full)


@pytest.mark.parametrize("operation", BY_OPERATION)
@pytest.mark.parametrize("api", ["openai", "azure", "anthropic", "gemini"])
def test_a_head_that_was_made_before_is_as_one_made_now(operation: str, api: str) -> None:
    where = provider(api, api_version="2026-01-01" if api == "azure" else None)
    for length in (7, None):
        kept = head(operation, where, NO_FIELDS, stream=True, length=length)
        assert kept == head(operation, where, ClientFields(), stream=True, length=length)


MESSAGES = BY_OPERATION["messages"]


@pytest.mark.parametrize(("fields", "query", "wanted"), [
    ({}, "", NO_FIELDS),
    ({b"anthropic-version": b"2023-06-01"}, "", NO_FIELDS),
    ({b"anthropic-version": b"2026-10-21"}, "beta=true", ClientFields(
        b"2026-10-21", beta_path=True)),
    ({b"anthropic-version": b"1999-01-01\tx"}, "", ClientFields(dropped=("anthropic-version",))),
    ({b"anthropic-beta": b"effort-2025-11-24, context-1m-2025-08-07,,effort-2025-11-24"}, "",
     ClientFields(betas=("context-1m-2025-08-07", "effort-2025-11-24"))),
    ({b"anthropic-beta": b"code-execution-web-tools-2026-02-09,tools-2024-04-04"}, "",
     ClientFields(betas=("code-execution-web-tools-2026-02-09", "tools-2024-04-04"))),
    ({b"anthropic-beta": b"me-2025-01-01,x y,claude-code-20250219"}, "", ClientFields(
        betas=("claude-code-20250219",),
        dropped=("anthropic-beta:me-2025-01-01", "unnamed"))),
    ({}, "key=x&beta=truer", NO_FIELDS), ({}, "beta=true", ClientFields(beta_path=True)),
    ({b"user-agent": b"x", b"cookie": b"y"}, "", NO_FIELDS),
])
def test_what_may_influence_messages(
    fields: dict[bytes, bytes], query: str, wanted: ClientFields
) -> None:
    assert client_fields(MESSAGES, fields, query) == wanted


def test_product_betas_are_a_policy() -> None:
    fields = {b"anthropic-beta": b"claude-code-20250219,effort-2025-11-24"}
    found = client_fields(MESSAGES, fields, "", "drop")
    assert found.betas == ("effort-2025-11-24",)
    assert found.dropped == ("anthropic-beta:claude-code-20250219",)


def test_what_may_influence_the_other_apis() -> None:
    stream = BY_OPERATION["stream_generate"]
    assert client_fields(stream, {}, "alt=sse").sse
    assert not client_fields(stream, {}, "alt=json").sse
    assert not client_fields(BY_OPERATION["generate"], {}, "alt=sse").sse
    chat = client_fields(BY_OPERATION["chat"], {b"openai-beta": b"assistants=v2"}, "")
    assert chat == ClientFields(dropped=("openai-beta:assistants=v2",))
    known = next(iter(OPENAI_BETAS))
    found = client_fields(BY_OPERATION["responses"], {b"openai-beta": known.encode()}, "")
    assert b"OpenAI-Beta: %b\r\n" % known.encode() in head("responses", provider("openai"), found)


@given(st.binary(max_size=80), st.binary(max_size=30), st.text(max_size=30))
def test_no_value_of_a_client_is_written(beta: bytes, version: bytes, query: str) -> None:
    fields = {b"anthropic-beta": beta, b"anthropic-version": version}
    found = client_fields(MESSAGES, fields, query)
    assert set(found.betas) <= ANTHROPIC_BETAS | PRODUCT_BETAS
    assert b"\r\n\r\n" == head("messages", provider("anthropic"), found)[-4:]
    assert all(name.isascii() and "," not in name for name in found.dropped)


@pytest.mark.parametrize(("raw", "wanted"), [
    ((b"Content-Type", b"application/json"), (b"content-type", b"application/json")),
    ((b"content-type", b"Text/Event-Stream; charset=UTF-8"),
     (b"content-type", b"text/event-stream; charset=UTF-8")),
    ((b"content-type", b"audio/pcm;rate=24000; x=\"y\""),
     (b"content-type", b"audio/pcm; rate=24000")),
    ((b"content-type", b"text/html"), (b"content-type", b"application/octet-stream")),
    ((b"content-encoding", b"GZIP"), (b"content-encoding", b"gzip")),
    ((b"content-encoding", b"x-own"), None),
    ((b"retry-after", b"7"), (b"retry-after", b"7")),
    ((b"retry-after", b"86400"), (b"retry-after", b"60")),
    ((b"retry-after", b"Wed, 21 Oct 2026 07:28:00 GMT"), None),
    ((b"retry-after", b"-1"), None),
    ((b"retry-after-ms", b"1500.5"), (b"retry-after-ms", b"1500")),
    ((b"retry-after-ms", b"900000"), (b"retry-after-ms", b"60000")),
    ((b"x-should-retry", b"False"), (b"x-should-retry", b"false")),
    ((b"x-should-retry", b"maybe"), None),
    ((b"openai-poll-after-ms", b"100"), (b"openai-poll-after-ms", b"100")),
    ((b"openai-poll-after-ms", b"900000"), (b"openai-poll-after-ms", b"60000")),
    # the usual content types are in order for that field alone
    ((b"x-should-retry", b"application/json"), None),
    ((b"retry-after", b"text/event-stream"), None),
])
def test_what_passes_of_a_reply(
    raw: tuple[bytes, bytes], wanted: tuple[bytes, bytes] | None
) -> None:
    assert response_fields([raw]) == ([wanted] if wanted is not None else [])


@pytest.mark.parametrize("name", [
    b"set-cookie", b"openai-organization", b"openai-project", b"anthropic-organization-id",
    b"x-request-id", b"request-id", b"x-ratelimit-remaining-requests", b"cf-ray", b"server",
    b"alt-svc", b"nel", b"report-to", b"link", b"location", b"access-control-allow-origin",
    b"strict-transport-security", b"www-authenticate", b"connection", b"transfer-encoding",
    b"keep-alive", b"content-length", b"trailer", b"x-new",
])
def test_nothing_else_passes(name: bytes) -> None:
    assert response_fields([(name, b"1")]) == []


def test_fields_that_connection_names_and_repeated_ones() -> None:
    raw = [(b"retry-after", b"1"), (b"retry-after", b"2"),
           (b"Connection", b"close, X-Should-Retry"), (b"x-should-retry", b"true")]
    assert response_fields(raw) == [(b"retry-after", b"1")]


@pytest.mark.parametrize(("fields", "seconds"), [
    ([(b"retry-after", b"7")], 7.0), ([(b"retry-after", b"2.5")], 2.5),
    ([(b"retry-after", b"7"), (b"retry-after-ms", b"1500")], 1.5),
    ([(b"retry-after", b"wed, 77 oct 2026 07:28:05 gmt")], None),
    ([(b"retry-after", b"soon")], None), ([(b"retry-after", b"-1")], None), ([], None),
    # all three forms of a date, in lower case as heads are
    ([(b"retry-after", b"wed, 21 oct 2026 07:28:10 gmt")], 10.0),
    ([(b"retry-after", b"wednesday, 21-oct-26 07:28:10 gmt")], 10.0),
    ([(b"retry-after", b"wed oct 21 07:28:10 2026")], 10.0),
    ([(b"retry-after", b"wed, 21 oct 2026 07:27:00 gmt")], 0.0),
])
def test_what_a_provider_asks_to_wait(
    fields: list[tuple[bytes, bytes]], seconds: float | None
) -> None:
    now_ms = 1_792_567_680_000
    head = b"http/1.1 429 no\r\ndate: wed, 21 oct 2026 07:28:00 gmt\r\nserver: x"
    assert asked_seconds(fields, b"", now_ms) == seconds
    # the reply's own clock counts where it has one
    assert asked_seconds(fields, head, now_ms - 86_400_000) == seconds
    assert asked_wait(fields) == (
        None if seconds is None or b":" in fields[0][1] else math.ceil(seconds))
