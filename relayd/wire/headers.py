"""Header fields, both ways, as allow-lists: the head of an upstream request is built from nothing.

Request side. Nothing of a client's head is copied. What may influence the upstream head is read
by `client_fields`: `anthropic-version` and the items of `anthropic-beta` and `openai-beta`, each
from a closed list, and two flags of the query. Field order and casing are fixed per API; what is
the same for many requests is made once (`UpstreamHead`).

* Anthropic: `?beta=true` is sent exactly when the client sent it. The provider treats beta
  requests by it, so it belongs to what was asked for, as the beta items do.
* Gemini: the path is always under /v1beta, `?alt=sse` exactly when the client asked for SSE.

Response side. `response_fields` passes what its table lists, where the value has the right form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import quote

from relayd.core.provider import Provider
from relayd.wire.dialect import Endpoint
from relayd.wire.walk import printable

VERSION_DEFAULT: Final = b"2023-06-01"
ANTHROPIC_VERSIONS: Final = frozenset({b"2023-01-01", b"2023-06-01", b"2026-10-21"})

ANTHROPIC_BETAS: Final = frozenset({
    "advanced-tool-use-2025-11-20", "advisor-tool-2026-03-01", "cache-diagnosis-2026-04-07",
    "code-execution-2025-05-22", "code-execution-2025-08-25",
    "code-execution-web-tools-2026-02-09", "compact-2026-01-12", "compact-2026-09-04",
    "computer-use-2024-10-22", "computer-use-2025-01-24", "computer-use-2025-11-24",
    "context-1m-2025-08-07", "context-management-2025-06-27", "dangerous-tool-use-2026-09-03",
    "dev-full-thinking-2025-05-14", "effort-2025-11-24", "extended-cache-ttl-2025-04-11",
    "fast-mode-2026-02-01", "fine-grained-tool-streaming-2025-05-14", "inline-tools-2026-09-15",
    "interleaved-thinking-2025-05-14", "max-tokens-3-5-sonnet-2024-07-15", "mcp-client-2025-04-04",
    "mcp-client-2025-11-20", "mcp-client-2026-09-15", "mcp-servers-2025-12-04",
    "mid-conversation-output-config-2026-07-01", "mid-conversation-system-2026-04-07",
    "mid-conversation-system-clear-at-2026-08-21", "mid-conversation-tool-changes-2026-07-01",
    "model-context-window-exceeded-2025-08-26", "output-128k-2025-02-19", "output-300k-2026-03-24",
    "pdfs-2024-09-25", "per-turn-control-2026-07-01", "prompt-caching-2024-07-31",
    "prompt-caching-scope-2026-01-05", "redact-thinking-2026-02-12",
    "structured-outputs-2025-09-17", "structured-outputs-2025-11-13",
    "structured-outputs-2025-12-15", "task-budgets-2026-03-13",
    "thinking-binding-controls-2026-08-01", "thinking-display-updates-2026-08-18",
    "thinking-token-count-2026-05-13", "tmp-preserve-thinking-2025-10-01",
    "token-counting-2024-11-01", "token-efficient-tools-2025-02-19", "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19", "tools-2024-04-04", "web-fetch-2025-09-10",
    "web-search-2025-03-05",
})
"""Betas of /v1/messages that change what a request does (anthropic 0.23 to 2.14, Claude Code 1.0
to 2.1, AI SDK 4 to 7).

Those of endpoints and state that the relay does not serve (files, skills, threads, user profiles,
fallbacks, billing, administration) are not here.
"""

PRODUCT_BETAS: Final = frozenset({
    "claude-code-20250219", "afk-mode-2026-01-31", "context-hint-2026-04-09",
    "summarize-connector-text-2026-03-13",
})
"""Betas that name a product: the operator decides (`[privacy] product_betas`)."""

_ALL_BETAS: Final = ANTHROPIC_BETAS | PRODUCT_BETAS

OPENAI_BETAS: Final = frozenset({"responses=experimental"})
"""Nothing that is served over HTTP needs one; `assistants=v2` belongs to refused endpoints."""

BETAS_MAX: Final = 32
"""Items of one beta field that are looked at; no client was seen with more than 9."""


@dataclass(frozen=True, slots=True)
class ClientFields:
    """What of a client's head may influence the upstream one. Hashable: heads can be kept by it.

    `dropped` names the beta items that were not passed, for the report.
    """

    version: bytes = VERSION_DEFAULT
    betas: tuple[str, ...] = ()
    openai_betas: tuple[str, ...] = ()
    sse: bool = False
    beta_path: bool = False
    dropped: tuple[str, ...] = ()


NO_FIELDS: Final = ClientFields()


def client_fields(
    endpoint: Endpoint,
    fields: Mapping[bytes, bytes],
    query: str,
    product_betas: Literal["pass", "drop"] = "pass",
) -> ClientFields:
    """Reads `fields` (lower-case names) and the raw query of a client's request."""
    if endpoint.api == "gemini":
        streams = endpoint.streams == "always"
        return ClientFields(sse=True) if streams and _asks(query, "alt=sse") else NO_FIELDS
    if endpoint.api == "openai":
        value = fields.get(b"openai-beta")
        if value is None:
            return NO_FIELDS
        passed, dropped = _betas(value, OPENAI_BETAS, "openai-beta")
        return ClientFields(openai_betas=passed, dropped=dropped)
    version = fields.get(b"anthropic-version", VERSION_DEFAULT)
    value = fields.get(b"anthropic-beta", b"")
    if not value and not query and version == VERSION_DEFAULT:
        return NO_FIELDS
    known = _ALL_BETAS if product_betas == "pass" else ANTHROPIC_BETAS
    passed, dropped = _betas(value, known, "anthropic-beta")
    if version not in ANTHROPIC_VERSIONS:
        version = VERSION_DEFAULT
        dropped = (*dropped, "anthropic-version")
    return ClientFields(version, passed, (), False, _asks(query, "beta=true"), dropped)


def _asks(query: str, flag: str) -> bool:
    return flag in query.split("&")


def _betas(
    value: bytes, known: frozenset[str], name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(items that pass, names of those that do not), each sorted and once."""
    items = {item.strip() for item in value.decode("latin-1").split(",")[:BETAS_MAX]} - {""}
    dropped = {printable(f"{name}:{item}") for item in items - known}
    return tuple(sorted(items & known)), tuple(sorted(dropped))


_OWN: Final = frozenset({
    "host", "authorization", "x-api-key", "api-key", "x-goog-api-key", "content-type", "accept",
    "accept-encoding", "user-agent", "content-length", "transfer-encoding", "connection",
    "anthropic-version", "anthropic-beta", "openai-beta", "openai-organization", "openai-project",
    "expect", "te", "trailer", "upgrade", "keep-alive",
})
"""Names that a provider's configured constants cannot set: the relay writes them itself."""

_KEY_FIELDS: Final = {
    "openai": "Authorization: Bearer {}",
    "azure": "api-key: {}",
    "anthropic": "x-api-key: {}",
    "gemini": "x-goog-api-key: {}",
}


class UpstreamHead:
    """What is fixed in the heads of requests to one endpoint of one provider with one credential.

    Made once and kept by the caller; holds the credential, so its repr shows nothing. `stream`:
    the body asks for a stream. `boundary` is that of an upload.
    """

    __slots__ = ("_line", "_model_in_path", "_fields", "_fields_sse", "_api", "_sse_in_query",
                 "_usual")

    def __init__(self, provider: Provider, endpoint: Endpoint, credential: str, stream: bool,
                 boundary: str = "") -> None:
        self._line = _target(provider, endpoint)
        self._model_in_path = "{model}" in self._line
        self._api = endpoint.api
        self._sse_in_query = endpoint.streams == "always"
        stream = stream and not self._sse_in_query
        kind = _content_type(endpoint, boundary)
        own = own_fields(provider, credential)
        self._fields = _fixed(provider, own, kind, _accept(endpoint, stream))
        self._fields_sse = _fixed(provider, own, kind, "text/event-stream")
        self._usual = b"" if self._model_in_path else self._opening("", NO_FIELDS)
        """The head up to its framing, where neither a model nor the client's head is in it."""

    def __repr__(self) -> str:
        return "UpstreamHead(...)"

    def write(self, model: str, client: ClientFields, length: int | None) -> bytes:
        """The whole head, its empty line included; `length` None: the body will be chunked."""
        head = self._usual
        if client is not NO_FIELDS or not head:
            head = self._opening(model, client)
        if length is None:
            return head + b"Transfer-Encoding: chunked\r\n\r\n"
        return b"%bContent-Length: %d\r\n\r\n" % (head, length)

    def _opening(self, model: str, client: ClientFields) -> bytes:
        """The head up to its framing."""
        line = self._line
        if self._model_in_path:
            line = line.replace("{model}", quote(model, safe=""))
        fields = self._fields
        if self._sse_in_query and client.sse:
            line += "?alt=sse"
            fields = self._fields_sse
        elif client.beta_path:
            line += "?beta=true"
        head = b"POST %b HTTP/1.1\r\n%b" % (line.encode("ascii"), fields)
        if self._api == "anthropic":
            head += b"anthropic-version: %b\r\n" % client.version
            if client.betas:
                head += b"anthropic-beta: %b\r\n" % ",".join(client.betas).encode("ascii")
        elif client.openai_betas:
            head += b"OpenAI-Beta: %b\r\n" % ",".join(client.openai_betas).encode("ascii")
        return head


_BY_DEPLOYMENT: Final = frozenset({
    "chat", "completions", "embeddings", "transcription", "translation", "speech",
    "image_generation", "image_edit"})
"""What Azure's older paths have below each deployment (openai-python, lib/azure.py)."""


def _target(provider: Provider, endpoint: Endpoint) -> str:
    """The request target; the model goes where it says `{model}`."""
    if provider.api == "azure" and provider.api_version is not None:
        below = "/deployments/{model}" if endpoint.operation in _BY_DEPLOYMENT else ""
        return (f"{provider.address.path}/openai{below}{endpoint.upstream}"
                f"?api-version={quote(provider.api_version, safe='')}")
    return provider.address.path + endpoint.upstream


def _content_type(endpoint: Endpoint, boundary: str) -> str:
    if endpoint.body == "multipart":
        return f"multipart/form-data; boundary={boundary}"
    return "application/json"


def _accept(endpoint: Endpoint, stream: bool) -> str:
    if endpoint.operation == "speech":
        return "*/*"
    return "text/event-stream" if stream else "application/json"


def own_fields(provider: Provider, credential: str) -> list[str]:
    """The fields that say who pays: the operator's own. A provider may need no credential."""
    lines = [_KEY_FIELDS[provider.api].format(credential)] if credential else []
    if provider.api == "openai" and provider.organization:
        lines.append("OpenAI-Organization: " + provider.organization)
    if provider.api == "openai" and provider.project:
        lines.append("OpenAI-Project: " + provider.project)
    return lines


def _fixed(provider: Provider, own: list[str], content_type: str, accept: str) -> bytes:
    lines = [
        "Host: " + host_of(provider),
        *own,
        "Content-Type: " + content_type,
        "Accept: " + accept,
        "Accept-Encoding: identity",
        "User-Agent: relayd",
        *(f"{name}: {value}" for name, value in constants(provider)),
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def constants(provider: Provider) -> list[tuple[str, str]]:
    """The constants that the operator wants on every request, less what the relay writes."""
    return [(name, value) for name, value in provider.headers if name.lower() not in _OWN]


def host_of(provider: Provider) -> str:
    """The value of Host."""
    address = provider.address
    host = f"[{address.host}]" if ":" in address.host else address.host
    default = 443 if address.scheme == "https" else 80
    return host if address.port == default else f"{host}:{address.port}"


# Response side.

MEDIA_TYPES: Final = frozenset({
    b"application/json", b"text/event-stream", b"application/x-ndjson",
    b"application/octet-stream", b"text/plain", b"text/vtt", b"application/x-subrip",
    b"audio/mpeg", b"audio/mp3", b"audio/ogg", b"audio/opus", b"audio/aac", b"audio/flac",
    b"audio/x-flac", b"audio/wav", b"audio/x-wav", b"audio/wave", b"audio/pcm", b"audio/l16",
    b"audio/basic", b"audio/mp4", b"audio/webm",
    b"image/png", b"image/jpeg", b"image/webp", b"image/gif",
})
"""What a reply may call itself. Anything else is told as application/octet-stream, so that no
browser takes a provider's page for one of the relay's."""

RETRY_SECONDS_MAX: Final = 60
RETRY_AFTER: Final = (b"retry-after-ms", b"retry-after")

_PARAMETER: Final = re.compile(
    rb"(charset|rate|channels|codecs|boundary)=\"?([A-Za-z0-9._-]{1,40})\"?", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"[0-9]{1,10}(?:\.[0-9]{1,6})?")
_DATE: Final = re.compile(rb"[a-z]{3,9},? [0-9a-z: -]{12,24}(?: gmt)?", re.IGNORECASE)
_DATED: Final = re.compile(rb"\r\ndate:[ \t]*([^\r]{1,40})")
_CODINGS: Final = frozenset({b"gzip", b"x-gzip", b"deflate", b"br", b"zstd"})


def _media_type(value: bytes) -> bytes | None:
    kind, *parameters = [part.strip() for part in value.split(b";")]
    if kind.lower() not in MEDIA_TYPES:
        return b"application/octet-stream"
    kept = [b"%b=%b" % (match[1].lower(), match[2])
            for match in map(_PARAMETER.fullmatch, parameters) if match]
    return b"; ".join([kind.lower(), *kept])


def _coding(value: bytes) -> bytes | None:
    """The body passes unchanged, so its coding must be told."""
    return value.lower() if value.lower() in _CODINGS else None


def _whole(most: int) -> Callable[[bytes], bytes | None]:
    """A number of units, clamped; anything else (a date) is not passed."""
    def check(value: bytes) -> bytes | None:
        if _NUMBER.fullmatch(value) is None:
            return None
        return b"%d" % min(int(value.partition(b".")[0]), most)
    return check


def asked_wait(fields: Sequence[tuple[bytes, bytes]]) -> int | None:
    """How many seconds, rounded up, a provider asks to wait; None where it gives no number."""
    seconds = asked_seconds([each for each in fields if each[1][:1].isdigit()])
    return None if seconds is None else math.ceil(seconds)


def asked_seconds(
    fields: Sequence[tuple[bytes, bytes]], raw: bytes = b"", unix_ms: int = 0
) -> float | None:
    """The same to the millisecond. A date counts from the Date in the head, `raw`, so that the
    clocks need not agree; where it has none, from `unix_ms`."""
    given = dict(fields)
    for name, unit in zip(RETRY_AFTER, (1000, 1), strict=True):
        value = given.get(name, b"")
        if _NUMBER.fullmatch(value):
            return float(value) / unit
    moment = _moment(given.get(b"retry-after", b""))
    if moment is None:
        return None
    dated = _DATED.search(raw)
    now = _moment(dated[1]) if dated is not None else None
    return max(moment - (unix_ms / 1000 if now is None else now), 0.0)


def _moment(value: bytes) -> float | None:
    """Unix seconds of an HTTP date (RFC 9110 section 5.6.7)."""
    if not _DATE.fullmatch(value):
        return None
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC).timestamp()


def _truth(value: bytes) -> bytes | None:
    return value.lower() if value.lower() in (b"true", b"false") else None


RESPONSE_HEADERS: Final[dict[bytes, Callable[[bytes], bytes | None]]] = {
    b"content-type": _media_type,
    b"content-encoding": _coding,
    b"retry-after": _whole(RETRY_SECONDS_MAX),
    b"retry-after-ms": _whole(RETRY_SECONDS_MAX * 1000),
    b"x-should-retry": _truth,
    b"openai-poll-after-ms": _whole(RETRY_SECONDS_MAX * 1000),
}
"""All that a client sees of a provider's header fields, each with the form that it must have."""

_USUAL: Final = frozenset({
    b"application/json", b"text/event-stream", b"text/event-stream; charset=utf-8",
    b"application/json; charset=utf-8",
})
"""Content types that are in order as they are."""


def response_fields(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What passes of a provider's fields, names in lower case, in order of arrival, each once.

    Fields that `Connection` names are hop-by-hop (RFC 9110 section 7.6.1) and never pass.
    """
    passed: list[tuple[bytes, bytes]] = []
    hop: set[bytes] = set()
    for name, value in raw:
        name = name.lower()
        if name == b"connection":
            hop.update(word.strip() for word in value.lower().split(b","))
            continue
        check = RESPONSE_HEADERS.get(name)
        if check is None:
            continue
        found = value if value in _USUAL and name == b"content-type" else check(value)
        if found is not None and all(name != seen for seen, _ in passed):
            passed.append((name, found))
    return [field for field in passed if field[0] not in hop] if hop else passed
