"""Faults on request: a model name that starts with `demo-` makes the demo provider fail so.

Law: one table. Each fault has the shape that the provider of that dialect gives it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from relayd.core.provider import Api
from relayd.demo.reply import event, typed

Kind = Literal["none", "status", "html", "cut", "error", "slow", "stall", "noend"]

SLOW_SECONDS: Final = 20.0
SLOW_SECONDS_MAX: Final = 600
RETRY_SECONDS: Final = "2"
HTML: Final = (b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center>"
               b"<h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n")
HTML_STATUS: Final = 502

# status: OpenAI's type and code, Anthropic's type, Gemini's status
STATUSES: Final[dict[int, tuple[str, str | None, str, str]]] = {
    400: ("invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
    401: ("invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
    402: ("insufficient_quota", "insufficient_quota", "billing_error", "FAILED_PRECONDITION"),
    403: ("invalid_request_error", "unsupported_country_region_territory", "permission_error",
          "PERMISSION_DENIED"),
    404: ("invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"),
    408: ("server_error", None, "timeout_error", "DEADLINE_EXCEEDED"),
    409: ("invalid_request_error", None, "conflict_error", "ABORTED"),
    413: ("invalid_request_error", None, "request_too_large", "INVALID_ARGUMENT"),
    422: ("invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
    429: ("requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    500: ("server_error", None, "api_error", "INTERNAL"),
    502: ("server_error", None, "api_error", "UNAVAILABLE"),
    503: ("server_error", None, "api_error", "UNAVAILABLE"),
    504: ("server_error", None, "timeout_error", "DEADLINE_EXCEEDED"),
    529: ("server_error", None, "overloaded_error", "UNAVAILABLE"),
}
_NAME: Final = re.compile(
    r"demo-(?:([0-9]{3})|(html|cut|error|stall|noend)|slow(?:-([0-9]{1,3}))?)")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a model name asks for. `status` belongs to `status`, `seconds` to `slow`."""

    kind: Kind = "none"
    status: int = 0
    seconds: float = 0.0


SOUND: Final = Fault()


def fault_of(model: str) -> Fault:
    """The fault that a model name stands for: `demo-429`, `demo-cut`, `demo-slow-3` and so on."""
    match = _NAME.fullmatch(model)
    if match is None:
        return SOUND
    if match[1]:
        return Fault("status", int(match[1])) if int(match[1]) in STATUSES else SOUND
    if match[2]:
        return Fault(match[2])  # type: ignore[arg-type]
    seconds = SLOW_SECONDS if match[3] is None else min(int(match[3]), SLOW_SECONDS_MAX)
    return Fault("slow", seconds=float(seconds))


def error_body(api: Api, status: int, message: str | None = None) -> dict[str, Any]:
    """An error as the provider of this dialect words it."""
    openai_type, code, anthropic_type, google = STATUSES.get(status, STATUSES[500])
    message = message or f"The demo provider answers {status}, as this model name asks it to."
    if api == "anthropic":
        return {"type": "error", "error": {"type": anthropic_type, "message": message},
                "request_id": "req_demo"}
    if api == "gemini":
        return {"error": {"code": status, "message": message, "status": google}}
    return {"error": {"message": message, "type": openai_type, "param": None, "code": code}}


def error_fields(status: int) -> dict[str, str]:
    """Header fields that come with an error."""
    return {"Retry-After": RETRY_SECONDS} if status in (429, 503, 529) else {}


def stream_error(api: Api) -> bytes:
    """An error in the middle of a stream."""
    message = "The demo provider breaks off here, as this model name asks it to."
    if api == "anthropic":
        return typed({"type": "error",
                      "error": {"type": "overloaded_error", "message": message}})
    status = 503 if api == "gemini" else 500
    return event(error_body(api, status, message))
