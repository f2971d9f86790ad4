"""Endpoints: which path belongs to which API, and what becomes of it upstream.

Law: a dialect is a table. A provider that speaks a known API is a row of configuration, no code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from relayd.core.provider import Api

BodyKind = Literal["json", "multipart", "none"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One served path.

    `path` is the template that call records and metrics carry; `upstream` is what is appended to
    the provider's base URL (`{model}` is replaced by the model that is sent). `streams` says where
    the wish to stream is found: in the body's `stream` field, in the path itself, or nowhere.
    """

    api: Api
    operation: str
    path: str
    upstream: str
    body: BodyKind = "json"
    streams: Literal["field", "always", "never"] = "never"


def _openai(operation: str, tail: str, **more: object) -> Endpoint:
    return Endpoint("openai", operation, "/v1" + tail, tail, **more)  # type: ignore[arg-type]


def _gemini(operation: str, verb: str, **more: object) -> Endpoint:
    path = "/v1beta/models/{model}:" + verb
    return Endpoint("gemini", operation, path, path, **more)  # type: ignore[arg-type]


ENDPOINTS: Final = (
    _openai("chat", "/chat/completions", streams="field"),
    _openai("completions", "/completions", streams="field"),
    _openai("responses", "/responses", streams="field"),
    _openai("embeddings", "/embeddings"),
    _openai("moderations", "/moderations"),
    _openai("image_generation", "/images/generations", streams="field"),
    _openai("image_edit", "/images/edits", body="multipart", streams="field"),
    _openai("speech", "/audio/speech", streams="field"),
    _openai("transcription", "/audio/transcriptions", body="multipart", streams="field"),
    _openai("translation", "/audio/translations", body="multipart"),
    _openai("rerank", "/rerank"),
    Endpoint("anthropic", "messages", "/v1/messages", "/v1/messages", streams="field"),
    Endpoint("anthropic", "count_tokens", "/v1/messages/count_tokens",
             "/v1/messages/count_tokens"),
    _gemini("generate", "generateContent"),
    _gemini("stream_generate", "streamGenerateContent", streams="always"),
    _gemini("count", "countTokens"),
    _gemini("embed", "embedContent"),
    _gemini("batch_embed", "batchEmbedContents"),
)

REALTIME: Final = Endpoint("openai", "realtime", "/v1/realtime", "/realtime", body="none",
                           streams="always")
"""Served over WebSocket alone: no request over HTTP means it."""

BY_OPERATION: Final = {endpoint.operation: endpoint for endpoint in ENDPOINTS}
MODELS_PATHS: Final = frozenset({"/v1/models", "/v1beta/models"})
MODEL_NAME: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}|[~@][A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}")
"""What a model name may look like: nothing that could reach into a path, a query or a header.

OpenRouter's newest of a family begins with `~`, Cloudflare's own models with `@cf/`.
"""

_MODELS_PATHS: Final = MODELS_PATHS | {"/models", "/openai/v1/models"}
"""With the other ways to write a path of OpenAI's, as calls have them (`_ALIASES`)."""

_MODEL_PREFIXES: Final = frozenset(path.removesuffix("/models") for path in _MODELS_PATHS)

_POSTS: Final = {e.path: e for e in ENDPOINTS if e.api != "gemini"}
_ALIASES: Final = {
    alias: endpoint
    for endpoint in ENDPOINTS if endpoint.api == "openai"
    for alias in (endpoint.upstream, "/openai" + endpoint.path)
}
_GEMINI: Final = {e.path.rpartition(":")[2]: e for e in ENDPOINTS if e.api == "gemini"}
_GEMINI_PATH: Final = re.compile(r"/(?:v1beta/|v1/)?models/([A-Za-z0-9._-]{1,256}):([A-Za-z]+)")
_STATEFUL: Final = re.compile(
    r"/v1/(?:files|uploads|batches|assistants|threads|conversations|vector_stores|containers|evals"
    r"|fine_tuning|videos|realtime/[a-z_]+|messages/batches|chat/completions/[^/]+"
    r"|responses/(?!(?:compact|input_tokens)$)[^/]+|organization|agents|audio/voices"
    r"|audio/voice_consents|chatkit|deployments|deployment_runs|dreams|environments|live/sessions"
    r"|memory_stores|sessions|skills|user_profiles|vaults)(?:/.*)?"
    r"|/(?:upload/)?(?:v1beta|v1)/(?:files|cachedContents|tunedModels|corpora|batches|agents"
    r"|environments|fileSearchStores|interactions|triggers|tuningJobs|voices)(?:/.*)?"
    r"|/(?:v1beta|v1)/models/[^/:]+:(?:batchGenerateContent|asyncBatchEmbedContent)"
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's path means. `kind` says which of the other fields is set."""

    kind: Literal["call", "socket", "models", "stateful", "none"]
    api: Api
    endpoint: Endpoint | None = None
    model: str | None = None


_CALLS: Final = {
    path: Target("call", endpoint.api, endpoint)
    for path, endpoint in {**_ALIASES, **_POSTS}.items()
}

_SOCKETS: Final = {
    path: Target("socket", "openai", REALTIME)
    for path in ("/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime")
}

POST_PATHS: Final = frozenset(_CALLS)
"""Every path of a call that is no pattern."""


def suggested_api(fields: Mapping[bytes, bytes], query: str) -> Api:
    """The API that a request's headers speak where its path does not say (GET /v1/models)."""
    if b"anthropic-version" in fields:
        return "anthropic"
    if b"x-goog-api-key" in fields or query.startswith("key=") or "&key=" in query:
        return "gemini"
    return "openai"


def target_of(path: str, api: Api) -> Target:
    """The meaning of a request path; `api` is what the headers suggest where the path does not.

    An unknown path gets the nearest dialect, so that its error has a shape the client can read.
    """
    call = _CALLS.get(path)
    if call is not None:
        return call
    match = _GEMINI_PATH.fullmatch(path)
    if match and match[2] in _GEMINI:
        return Target("call", "gemini", _GEMINI[match[2]], match[1])
    socket = _SOCKETS.get(path)
    if socket is not None:
        return socket
    nearest = api
    if path.startswith("/v1beta/") or path.startswith("/upload/"):
        nearest = "gemini"
    elif path.startswith("/v1/messages"):
        nearest = "anthropic"
    if path in _MODELS_PATHS:
        return Target("models", nearest)
    if _STATEFUL.fullmatch(path):
        return Target("stateful", nearest)
    prefix, _, name = path.rpartition("/models/")
    if "%" in name:  # SDKs write meta-llama%2FLlama
        name = unquote(name)
    verb = ":" in name and (nearest == "gemini" or name.rpartition(":")[2] in _GEMINI)
    if prefix in _MODEL_PREFIXES and MODEL_NAME.fullmatch(name) and not verb:
        return Target("models", nearest, None, name)
    return Target("none", nearest)
