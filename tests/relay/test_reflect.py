"""What reflect shows is what is sent: compared with an upstream's raw bytes."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from relayd.relay.reflect import HANDSHAKE_KEY, MASK, Reflector
from tests.fakes.daemon import CREDENTIAL, Lane
from tests.fakes.dialects import answer
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Request
from tests.fakes.sockets import HANDSHAKE, realtime_provider
from tests.fakes.sockets import TARGET as REALTIME
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

NOW_MS = 1_800_000_000_000
MINE = (("User-Agent", "mine/1"), ("Cookie", "a=b"), ("X-Stainless-OS", "Linux"))
MESSAGES = b'{"max_tokens":1,"messages":[{"content":"hi","role":"user"}],"model":"claude-x"}'
CONTENTS = b'{"contents":[{"parts":[{"text":"hi"}],"role":"user"}]}'
PART = b'--mine\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
UPLOAD = (PART % (b"file", b'; filename="secret.mp3"', b"sound") + PART % (b"model", b"", b"w-1")
          + PART % (b"unheard_of", b"", b"1") + b"--mine--\r\n")


def reflector(lane: Lane) -> Reflector:
    plane = lane.app._plane
    assert plane is not None
    return Reflector(lane.app.config, b"s" * 32, plane.boundary, NOW_MS)


def masked(request: Request) -> bytes:
    return request.raw.replace(CREDENTIAL.encode(), MASK.encode())


CASES = [
    ("chat", TARGET, BODY, MINE),
    ("stream", TARGET, STREAM, ()),
    ("dropped", TARGET, BODY[:-1] + b',"user":"me","x":1,"metadata":{"a":"b"}}', ()),
    ("gzip", TARGET, gzip.compress(BODY, mtime=0), (("Content-Encoding", "gzip"),)),
    ("responses", "/v1/responses", b'{"model":"m","input":"hi","store":true}', ()),
    ("embeddings", "/v1/embeddings", b'{"input":"hi","model":"e"}', MINE),
    ("messages", "/v1/messages?beta=true", MESSAGES,
     (("anthropic-beta", "interleaved-thinking-2025-05-14,nonsense"),)),
    ("generate", "/v1beta/models/g-1:generateContent", CONTENTS, ()),
    ("generate sse", "/v1beta/models/g-1:streamGenerateContent?alt=sse&key=x", CONTENTS, ()),
]


@pytest.mark.parametrize(("target", "body", "fields"), [c[1:] for c in CASES],
                         ids=[c[0] for c in CASES])
async def test_json(
    opened: Opened, target: str, body: bytes, fields: tuple[tuple[str, str], ...]
) -> None:
    lane = await opened(answer)
    raw = request_bytes(target, lane.key, body, fields=fields)
    assert (await ask(lane.address, raw)).status == 200
    found = reflector(lane).reflect(raw)
    assert found.refused is None and found.upstream == masked(lane.upstream.requests[0])
    shown = repr(found) + repr(found.notes)
    for secret in (lane.key, CREDENTIAL, "mine/1", '"hi"'):
        assert secret not in shown


async def test_an_upload(opened: Opened) -> None:
    lane = await opened(answer)
    raw = request_bytes("/v1/audio/transcriptions", lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=mine"),
        ("Content-Length", str(len(UPLOAD))))) + UPLOAD
    assert (await ask(lane.address, raw)).status == 200
    found = reflector(lane).reflect(raw)
    assert found.upstream == masked(lane.upstream.requests[0])
    assert ("body unheard_of", "dropped", "not in this endpoint's table") in found.notes


async def test_a_coded_upload_is_refused_as_by_the_relay(opened: Opened) -> None:
    lane = await opened(answer)
    coded = gzip.compress(UPLOAD, mtime=0)
    raw = request_bytes("/v1/audio/transcriptions", lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=mine"), ("Content-Encoding", "gzip"),
        ("Content-Length", str(len(coded))))) + coded
    assert (await ask(lane.address, raw)).status == 415
    assert reflector(lane).reflect(raw).refused == "unsupported_encoding"


async def test_empty_lines_before_the_request_mean_nothing(opened: Opened) -> None:
    lane = await opened(answer)
    raw = request_bytes(TARGET, lane.key, BODY)
    assert reflector(lane).reflect(b"\r\n\r\n" + raw) == reflector(lane).reflect(raw)
    assert reflector(lane).reflect(b"\r" + raw).refused == "bad_http"


async def test_a_handshake(opened: Opened) -> None:
    async with realtime_provider() as upstream:
        lane = await opened(provider_changes={"address": upstream.address})
        raw = request_bytes(REALTIME, lane.key, method="GET", fields=(*HANDSHAKE, *MINE))
        async with RawClient(lane.address) as client:
            await client.send(raw)
            assert (await client.reader.readline()).startswith(b"HTTP/1.1 101")
        found = reflector(lane).reflect(raw)
        [(path, fields)] = upstream.handshakes
        key = fields["Sec-WebSocket-Key"]
        sent = "".join(f"{name}: {value}\r\n" for name, value in fields.raw_items())
        assert found.upstream == f"GET {path} HTTP/1.1\r\n{sent}\r\n".replace(
            key, HANDSHAKE_KEY.decode()).replace(CREDENTIAL, MASK).encode()
    assert reflector(lane).reflect(raw.replace(b"?model=", b"?m=")).refused == "missing_model"


async def test_chunked_is_the_same(opened: Opened) -> None:
    lane = await opened()
    plain = request_bytes(TARGET, lane.key, BODY)
    chunked = plain.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    chunked = chunked.replace(BODY, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    reflect = reflector(lane).reflect
    assert reflect(chunked).upstream == reflect(plain).upstream is not None


REFUSED = [
    (TARGET, b'{"a":', "invalid_json"), (TARGET, b"{}", "missing_model"),
    ("/v1/files", BODY, "stateful_endpoint"), ("/nothing", BODY, "not_found"),
    ("/v1/models", b"", "not_found"),
    (TARGET, BODY.replace(b"test-model", b"other"), "unknown_model"),
    ("/v1/responses", b'{"model":"test-1","input":"x","previous_response_id":"r"}',
     "refused_field"),
]


@pytest.mark.parametrize(("target", "body", "code"), REFUSED)
async def test_refusals_are_those_of_the_relay(
    opened: Opened, target: str, body: bytes, code: str
) -> None:
    lane = await opened(patterns=("test-*",))
    raw = request_bytes(target, lane.key, body)
    found = reflector(lane).reflect(raw)
    assert (found.refused, found.upstream) == (code, None)
    if body:
        await ask(lane.address, raw)
        assert [r.error for r in await lane.settled(1)] == [code]
        assert lane.upstream.requests == []


@pytest.mark.parametrize("raw", [
    b"", b"nonsense", b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/messages HTTP/1.1\r\nHost: h\r\n"])
async def test_what_is_no_request_is_refused(opened: Opened, raw: bytes) -> None:
    assert reflector(await opened()).reflect(raw).refused in ("bad_http", "bad_host")


async def test_what_was_written_in_an_editor_is_read_and_said_so(opened: Opened) -> None:
    lane = await opened(answer)
    raw = request_bytes(TARGET, lane.key, BODY)
    head, _, body = raw.partition(b"\r\n\r\n")
    written = head.replace(b"\r\n", b"\n") + b"\n\n" + body
    found = reflector(lane).reflect(written + b"\n")
    assert found.upstream == reflector(lane).reflect(raw).upstream is not None
    assert found.notes[0][:2] == ("lines", "replaced")
    assert reflector(lane).reflect(raw).notes[0][0] != "lines"


async def test_a_responses_socket_is_ended_here(opened: Opened) -> None:
    raw = (b"GET /v1/responses HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    lane = await opened(answer)
    assert reflector(lane).reflect(raw).refused == "websocket_not_served"
    config = replace(lane.app.config, server=replace(
        lane.app.config.server, responses_websocket=True))
    reflect = Reflector(config, bytes(32), "boundary", 0).reflect
    found = reflect(raw)
    assert (found.upstream, found.refused) == (None, None)
    assert found.notes[-1][:2] == ("request", "answered")
    assert reflect(raw.replace(b"n: 13", b"n: 8")).refused == "upgrade_required"


async def test_the_list_of_models_is_answered_here(opened: Opened) -> None:
    lane = await opened(answer)
    found = reflector(lane).reflect(b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (found.upstream, found.refused) == (None, None)
    assert found.notes[-1][:2] == ("request", "answered")
    assert reflector(lane).reflect(
        b"DELETE /v1/models HTTP/1.1\r\nHost: h\r\n\r\n").refused == "not_found"


async def test_notes_name_fields_and_no_values(opened: Opened) -> None:
    lane = await opened()
    body = BODY[:-1] + b',"user":"my-user"}'
    found = reflector(lane).reflect(request_bytes(TARGET, lane.key, body, fields=MINE))
    notes = {what: verdict for what, verdict, _ in found.notes}
    assert notes["header authorization"] == "replaced" and notes["header cookie"] == "dropped"
    assert notes["body user"] == "dropped"
    assert "my-user" not in repr(found.notes) and lane.key not in repr(found.notes)


async def test_it_says_which_setting_keeps_a_tier_back(opened: Opened) -> None:
    lane = await opened()
    body = BODY[:-1] + b',"service_tier":"priority","user":"u","speed":"fast"}'
    notes = reflector(lane).reflect(request_bytes(TARGET, lane.key, body)).notes
    why = {what: why for what, _, why in notes if what.startswith("body ")}
    assert "[billing] paid_tiers" in why.pop("body service_tier")
    assert why == {"body speed": "no table knows this field",  # Anthropic's alone
                   "body user": "names or tags the client, or is kept by the provider"}


async def test_it_says_why_what_names_nobody_is_dropped(opened: Opened) -> None:
    lane = await opened()
    asked = {**{f"tools.{name}": (TARGET, BODY[:-1] + b',"tools":[{"type":"openrouter:%b"}]}'
                                  % name.encode()) for name in ("fusion", "image_generation")},
             "response_format": ("/v1/images/generations",
                                 b'{"model":"m","prompt":"x","response_format":"url"}')}
    why = {}
    for name, (target, body) in asked.items():
        for what, _, words in reflector(lane).reflect(
                request_bytes(target, lane.key, body)).notes:
            if what == f"body {name}":
                why[name] = words
    assert "another model" in why["tools.fusion"] and "address" in why["response_format"]
    assert why["tools.image_generation"] == why["tools.fusion"]


async def test_a_provider_of_the_route_may_be_chosen(opened: Opened) -> None:
    reflect = reflector(await opened()).reflect
    raw = request_bytes(TARGET, "any", BODY)
    assert reflect(raw).provider == reflect(raw, "openai").provider == "openai"
    assert reflect(raw, "anthropic").refused == "unknown_model"
