"""The relay's own errors in the shape of the API that was called, as replies and inside streams.

Law: status words and types are those that the APIs themselves use, because SDKs and agents act on
them; the message is the table's, written for a person, since SDKs show it as it is. What each
client does with each of these was measured; the choices here follow that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from relayd.core.errors import RelayError
from relayd.core.provider import Api

RETRY_AFTER_SECONDS_MAX: Final = 60
"""A longer wait is not asked for: some SDKs would sleep it out, others fail at once."""

OPENAI_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    408: "timeout_error",
    429: "rate_limit_error",
    504: "timeout_error",
}
OPENAI_CODES: Final[Mapping[str, str]] = {
    "missing_key": "invalid_api_key",
    "invalid_key": "invalid_api_key",
    "expired_key": "invalid_api_key",
    "unknown_model": "model_not_found",
    "rate_limited": "rate_limit_exceeded",
    "concurrency_limited": "rate_limit_exceeded",
    "budget_spent": "insufficient_quota",
    "balance_short": "insufficient_quota",
    "balance_held": "rate_limit_exceeded",
    "provider_rate_limited": "rate_limit_exceeded",
    "provider_quota": "insufficient_quota",
}
"""Codes that clients know by OpenAI's word; any other is the relay's own, as in call records."""
ANTHROPIC_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
GEMINI_STATUSES: Final[Mapping[int, str]] = {
    # google.rpc.Code names by the HTTP status that stands for them
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
UNTHREADED: Final[Mapping[str, object]] = {
    "error_code": "thread_unsupported_request", "unsupported": ["thread"],
}
"""Tells Anthropic's SDKs to send the whole conversation each time (anthropic 2.13 lib/threads)."""
_WAIT_MS: Final[Mapping[str, int]] = {
    "overloaded": 1000, "draining": 1000, "upstream_busy": 1000, "store_busy": 1000,
}
"""Where waiting helps although nobody has said how long."""
_NEVER_AGAIN: Final = frozenset({401, 402, 403})
RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"

STREAM_OPERATIONS: Final = frozenset({
    "chat", "completions", "responses", "messages", "stream_generate", "transcription", "speech",
    "image_generation", "image_edit",
})

_encode: Final = msgspec.json.encode


def error_body(api: Api, error: RelayError, request_id: str) -> bytes:
    """The JSON body of an error reply."""
    if api == "anthropic":
        return _encode(_anthropic(error, request_id))
    if api == "gemini":
        return _encode({"error": _gemini(error)})
    return _encode({"error": _openai(error)})


def error_fields(error: RelayError) -> list[tuple[bytes, bytes]]:
    """Header fields that say whether and when to try again."""
    wait_ms = _wait_ms(error)
    too_long = wait_ms is not None and wait_ms > RETRY_AFTER_SECONDS_MAX * 1000
    if not error.kind.retryable or too_long or error.status in _NEVER_AGAIN:
        return [(b"x-should-retry", b"false")]
    if wait_ms is None:
        return []
    return [(b"retry-after", b"%d" % -(-wait_ms // 1000)), (b"retry-after-ms", b"%d" % wait_ms)]


def _wait_ms(error: RelayError) -> int | None:
    """How long a client should wait, where waiting helps and that is known or guessed."""
    wait_ms = error.retry_after_ms
    if wait_ms is None:
        wait_ms = _WAIT_MS.get(error.code)
    return None if wait_ms is None else max(wait_ms, 0)


def stream_error(api: Api, operation: str, error: RelayError, request_id: str) -> bytes:
    """The event that tells an error in an event stream that has begun; the caller then cuts it."""
    if api == "anthropic":
        return b"event: error\ndata: %b\n\n" % _encode(_anthropic(error, request_id))
    if api == "gemini":
        return b"data: %b\n\n" % _encode({"error": _gemini(error)})
    if operation == "responses":
        failed = _response_failed(error, request_id)
        return b"event: response.failed\ndata: %b\n\n" % _encode(failed)
    return b"data: %b\n\n" % _encode({"error": _openai(error)})


def array_error(error: RelayError, gap: bytes) -> bytes:
    """The end of Gemini's JSON array of chunks; `gap` is what one more element needs before it."""
    return b"%b%b]" % (gap, array_element(error))


def array_element(error: RelayError) -> bytes:
    """An element of that array which tells an error."""
    return _encode({"error": _gemini(error)})


def heartbeat(api: Api, operation: str) -> bytes:
    """What may be sent between two events while the provider thinks; b"" where nothing may.

    Messages has its own ping. Elsewhere an empty line: a comment crashes google-genai for Python.
    """
    if operation not in STREAM_OPERATIONS:
        return b""
    if api == "anthropic":
        return b'event: ping\ndata: {"type": "ping"}\n\n'
    return b"\n"


def _message(error: RelayError) -> str:
    """The table's message and its detail, and the field at fault where neither names it."""
    message = error.kind.message
    if error.detail:
        message = f"{message} {error.detail}"
    param = error.param
    if param is None or f"'{param}'" in message or error.code == "unknown_model":
        return message
    return f"{message} Field: '{param}'."


def _openai(error: RelayError) -> dict[str, object]:
    """https://platform.openai.com/docs/guides/error-codes"""
    default = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "message": _message(error),
        "type": OPENAI_TYPES.get(error.status, default),
        "param": error.param,
        "code": OPENAI_CODES.get(error.code, error.code),
    }


def _anthropic(error: RelayError, request_id: str) -> dict[str, object]:
    """https://docs.claude.com/en/api/errors"""
    default = "api_error" if error.status >= 500 else "invalid_request_error"
    told: dict[str, object] = {
        "type": ANTHROPIC_TYPES.get(error.status, default), "message": _message(error),
    }
    if error.code == "refused_field" and error.param == "thread":
        told["details"] = UNTHREADED
    return {"type": "error", "error": told, "request_id": request_id}


def _gemini(error: RelayError) -> dict[str, object]:
    """google.rpc.Status as JSON; `code` is an integer, a string breaks google-genai.

    Gemini's clients look for a limit's wait in the details, not in a header.
    """
    default = "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT"
    told: dict[str, object] = {
        "code": error.status,
        "message": _message(error),
        "status": GEMINI_STATUSES.get(error.status, default),
    }
    if error.status == 429 and error.kind.retryable and error.retry_after_ms is not None:
        delay = f"{max(error.retry_after_ms, 0) / 1000:g}s"
        told["details"] = [{"@type": RETRY_INFO, "retryDelay": delay}]
    return told


def _response_failed(error: RelayError, request_id: str) -> dict[str, object]:
    """A `response.failed` event: OpenAI clients ignore a bare `error` event in this API.

    Its number is 0: the relay does not read those of the events before it.
    """
    limited = error.status == 429
    return {
        "type": "response.failed",
        "sequence_number": 0,
        "response": {
            "id": f"resp_{request_id}",
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": {
                "code": "rate_limit_exceeded" if limited else "server_error",
                "message": _message(error),
            },
            "incomplete_details": None,
            "model": "",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        },
    }
