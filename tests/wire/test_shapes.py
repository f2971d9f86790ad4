"""Errors have each API's own shape, and the official SDKs understand them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors

from relayd.core.errors import ERRORS, RelayError
from relayd.core.provider import Api
from relayd.wire.dialect import ENDPOINTS
from relayd.wire.shapes import (
    GEMINI_STATUSES, array_error, error_body, error_fields, heartbeat, stream_error,
)

APIS: tuple[Api, ...] = ("openai", "anthropic", "gemini")
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Upstream(ThreadingHTTPServer):
    """Answers every request alike."""

    daemon_threads = True
    status = 200
    content_type = "application/json"
    body = b""
    fields: list[tuple[bytes, bytes]] = []


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        assert isinstance(server, Upstream)
        self.send_response(server.status, "x")
        for name, value in server.fields:
            self.send_header(name.decode(), value.decode())
        self.send_header("content-type", server.content_type)
        self.send_header("content-length", str(len(server.body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def openai_client(upstream: Upstream) -> Iterator[openai.OpenAI]:
    url = f"http://127.0.0.1:{upstream.server_port}/v1"
    with openai.OpenAI(api_key="k", base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(upstream: Upstream) -> Iterator[anthropic.Anthropic]:
    url = f"http://127.0.0.1:{upstream.server_port}"
    with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def genai_client(upstream: Upstream) -> Iterator[genai.Client]:
    url = f"http://127.0.0.1:{upstream.server_port}"
    client = genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=url))
    yield client
    client.close()


def ask(client: anthropic.Anthropic) -> object:
    return client.messages.create(
        model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])


OPENAI_CLASSES = {
    400: openai.BadRequestError, 401: openai.AuthenticationError,
    403: openai.PermissionDeniedError, 404: openai.NotFoundError, 409: openai.ConflictError,
    422: openai.UnprocessableEntityError, 429: openai.RateLimitError,
}
ANTHROPIC_CLASSES = {
    400: anthropic.BadRequestError, 401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError, 404: anthropic.NotFoundError,
    409: anthropic.ConflictError, 422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
}


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_the_sdk_of_openai_raises_the_right_class(
    code: str, upstream: Upstream, openai_client: openai.OpenAI
) -> None:
    error = RelayError(code)
    upstream.status, upstream.body = error.status, error_body("openai", error, ID)
    upstream.fields = error_fields(error)
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.chat.completions.create(model="m", messages=[])
    default = openai.InternalServerError if error.status >= 500 else openai.APIStatusError
    assert type(caught.value) is OPENAI_CLASSES.get(error.status, default)
    assert error.kind.message in caught.value.message
    assert caught.value.code and caught.value.type


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_the_sdk_of_anthropic_raises_the_right_class(
    code: str, upstream: Upstream, anthropic_client: anthropic.Anthropic
) -> None:
    error = RelayError(code)
    upstream.status, upstream.body = error.status, error_body("anthropic", error, ID)
    upstream.fields = error_fields(error)
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask(anthropic_client)
    if error.status >= 500:
        assert isinstance(caught.value, anthropic.InternalServerError)
    else:
        assert isinstance(caught.value, ANTHROPIC_CLASSES.get(
            error.status, anthropic.APIStatusError))
    body = caught.value.body
    assert isinstance(body, dict) and body["request_id"] == ID and body["type"] == "error"
    assert body["error"]["message"] == error.kind.message


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_the_sdk_of_gemini_raises_the_right_class(
    code: str, upstream: Upstream, genai_client: genai.Client
) -> None:
    error = RelayError(code)
    upstream.status, upstream.body = error.status, error_body("gemini", error, ID)
    upstream.fields = error_fields(error)
    kind = genai_errors.ServerError if error.status >= 500 else genai_errors.ClientError
    with pytest.raises(kind) as caught:
        genai_client.models.generate_content(model="m", contents="x")
    assert caught.value.code == error.status
    assert caught.value.message == error.kind.message
    assert caught.value.status and caught.value.status.isupper()


def sse(server: Upstream, body: bytes) -> None:
    server.status, server.body, server.fields = 200, body, []
    server.content_type = "text/event-stream"


@pytest.fixture
def as_stream(upstream: Upstream) -> Iterator[Upstream]:
    yield upstream
    upstream.content_type = "application/json"


BROKEN = RelayError("upstream_stalled")


def test_an_error_inside_a_chat_stream_raises(
    as_stream: Upstream, openai_client: openai.OpenAI
) -> None:
    chunk = (b'data: {"id":"x","object":"chat.completion.chunk","created":0,"model":"m",'
             b'"choices":[]}\n\n')
    sse(as_stream, chunk + heartbeat("openai", "chat") + chunk
        + stream_error("openai", "chat", BROKEN, ID))
    seen = []
    with pytest.raises(openai.APIError) as caught:
        for event in openai_client.chat.completions.create(model="m", messages=[], stream=True):
            seen.append(event)
    assert len(seen) == 2
    assert caught.value.message == BROKEN.kind.message
    assert caught.value.code == "upstream_stalled"


def test_an_error_inside_a_responses_stream_is_a_failed_response(
    as_stream: Upstream, openai_client: openai.OpenAI
) -> None:
    sse(as_stream, heartbeat("openai", "responses")
        + stream_error("openai", "responses", BROKEN, ID))
    [event] = openai_client.responses.create(model="m", input="x", stream=True)
    assert event.type == "response.failed" and event.sequence_number == 0
    assert event.response.status == "failed"
    assert event.response.error is not None
    assert event.response.error.code == "server_error"
    assert event.response.error.message == BROKEN.kind.message
    type(event).model_validate(event.model_dump())  # every field that its type requires


def test_an_error_inside_a_messages_stream_raises(
    as_stream: Upstream, anthropic_client: anthropic.Anthropic
) -> None:
    sse(as_stream, heartbeat("anthropic", "messages")
        + stream_error("anthropic", "messages", BROKEN, ID))
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(anthropic_client.messages.create(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}], stream=True))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"] == {
        "type": "timeout_error", "message": BROKEN.kind.message}


def test_an_error_inside_a_gemini_stream_raises(
    as_stream: Upstream, genai_client: genai.Client
) -> None:
    chunk = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n'
    sse(as_stream, chunk + heartbeat("gemini", "stream_generate") + chunk
        + stream_error("gemini", "stream_generate", BROKEN, ID))
    seen = []
    with pytest.raises(genai_errors.ServerError) as caught:
        for part in genai_client.models.generate_content_stream(model="m", contents="x"):
            seen.append(part.text)
    assert seen == ["a", "a"]
    assert (caught.value.code, caught.value.status) == (504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("gap, before", [(b",\n", b'[{"a":1}'), (b"", b'[{"a":1},'), (b"[", b"")])
def test_an_error_ends_a_json_array(gap: bytes, before: bytes) -> None:
    whole = json.loads(before + array_error(BROKEN, gap))
    assert whole[-1]["error"]["code"] == 504
    assert len(whole) == 1 + bool(before)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_has_its_shape_in_every_api(api: Api, code: str) -> None:
    error = RelayError(code, param="field_x")
    body = json.loads(error_body(api, error, ID))
    inner = body["error"]
    assert inner["message"].startswith(ERRORS[code].message)
    if api == "openai":
        assert set(body) == {"error"}
        assert set(inner) == {"message", "type", "param", "code"}
        assert inner["param"] == "field_x"
    elif api == "anthropic":
        assert set(body) == {"type", "error", "request_id"}
        assert set(inner) == {"type", "message"} and inner["type"].endswith(
            ("_error", "_too_large"))
    else:
        assert set(body) == {"error"} and set(inner) == {"code", "message", "status"}
        assert inner["code"] == error.status and type(inner["code"]) is int


@pytest.mark.parametrize("code, openai_type, anthropic_type, gemini_status", [
    ("invalid_json", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    ("invalid_key", "authentication_error", "authentication_error", "UNAUTHENTICATED"),
    ("model_not_allowed", "permission_error", "permission_error", "PERMISSION_DENIED"),
    ("unknown_model", "invalid_request_error", "not_found_error", "NOT_FOUND"),
    ("body_too_large", "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    ("provider_rate_limited", "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    ("internal", "server_error", "api_error", "INTERNAL"),
    ("upstream_connect", "server_error", "api_error", "UNAVAILABLE"),
    ("overloaded", "server_error", "overloaded_error", "UNAVAILABLE"),
    ("upstream_timeout", "timeout_error", "timeout_error", "DEADLINE_EXCEEDED"),
    ("stateful_endpoint", "server_error", "api_error", "UNIMPLEMENTED"),
])
def test_types_are_the_apis_own_words(
    code: str, openai_type: str, anthropic_type: str, gemini_status: str
) -> None:
    error = RelayError(code)
    assert json.loads(error_body("openai", error, ID))["error"]["type"] == openai_type
    assert json.loads(error_body("anthropic", error, ID))["error"]["type"] == anthropic_type
    assert json.loads(error_body("gemini", error, ID))["error"]["status"] == gemini_status


def test_codes_are_openais_where_clients_know_them() -> None:
    def code(ours: str) -> str:
        return str(json.loads(error_body("openai", RelayError(ours), ID))["error"]["code"])
    assert code("expired_key") == "invalid_api_key"
    assert code("unknown_model") == "model_not_found"
    assert code("overloaded") == "overloaded"


def test_a_provider_keeps_its_status_word_for_529() -> None:
    error = RelayError("provider_failed", status=529)
    assert b"overloaded_error" in error_body("anthropic", error, ID)
    assert GEMINI_STATUSES[529] == "UNAVAILABLE"


@pytest.mark.parametrize("error, fields", [
    (RelayError("invalid_key"), {b"x-should-retry": b"false"}),
    (RelayError("account_suspended"), {b"x-should-retry": b"false"}),
    (RelayError("unknown_model"), {b"x-should-retry": b"false"}),
    (RelayError("invalid_json"), {b"x-should-retry": b"false"}),
    (RelayError("internal"), {b"x-should-retry": b"false"}),
    (RelayError("provider_quota"), {b"x-should-retry": b"false"}),
    (RelayError("provider_failed", status=402), {b"x-should-retry": b"false"}),
    (RelayError("upstream_connect"), {}),
    (RelayError("overloaded"), {b"retry-after": b"1", b"retry-after-ms": b"1000"}),
    (RelayError("draining"), {b"retry-after": b"1", b"retry-after-ms": b"1000"}),
    (RelayError("provider_rate_limited", retry_after_seconds=60),
     {b"retry-after": b"60", b"retry-after-ms": b"60000"}),
    (RelayError("provider_rate_limited", retry_after_seconds=61), {b"x-should-retry": b"false"}),
    (RelayError("overloaded", retry_after_seconds=0),
     {b"retry-after": b"0", b"retry-after-ms": b"0"}),
])
def test_whether_and_when_to_try_again(error: RelayError, fields: dict[bytes, bytes]) -> None:
    assert dict(error_fields(error)) == fields


def test_the_field_at_fault_is_named_once() -> None:
    def message(code: str, param: str) -> str:
        return str(json.loads(error_body("gemini", RelayError(code, param=param), ID))
                   ["error"]["message"])
    assert message("invalid_field", "top_p").endswith(" Field: 'top_p'.")
    assert message("missing_model", "model").count("model") == 2
    assert message("refused_field", 'a"\n').endswith("'a\"\n'.")


def test_heartbeats_are_for_streams_alone() -> None:
    for endpoint in ENDPOINTS:
        beat = heartbeat(endpoint.api, endpoint.operation)
        assert bool(beat) is (endpoint.streams != "never")
        assert b":" not in beat.split(b"\n")[0][:1]  # never a comment


def test_a_refused_thread_is_worded_so_that_the_sdk_goes_on_without_one() -> None:
    told = json.loads(error_body("anthropic", RelayError("refused_field", param="thread"), ID))
    assert told["error"]["details"]["error_code"] == "thread_unsupported_request"
    other = json.loads(error_body("anthropic", RelayError("refused_field", param="container"), ID))
    assert "details" not in other["error"]
