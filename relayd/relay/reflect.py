"""What a provider would receive for one raw HTTP request: the relay path, without a socket.

It is the same code that sends, so that what it shows is what is sent, the credential masked.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Final

from relayd.core.errors import RelayError
from relayd.core.provider import Provider
from relayd.core.route import Deployment, Routes
from relayd.ops.config import Config
from relayd.relay.policy import body_policy, head_limits
from relayd.relay.receive import check_uncoded, decode
from relayd.relay.socketed import PATH as SOCKET_PATH
from relayd.wire.body import TABLES, read, write
from relayd.wire.chunked import ChunkedReader
from relayd.wire.dialect import REALTIME, Endpoint, Target, suggested_api, target_of
from relayd.wire.handshake import (
    read_handshake, read_plain, upstream_handshake, wants_websocket,
)
from relayd.wire.headers import UpstreamHead, client_fields
from relayd.wire.http import RequestHead, behind_empty_lines, read_head
from relayd.wire.identity import Pseudonyms, epoch_of, provider_key
from relayd.wire.multipart import Upload
from relayd.wire.tier import FIELDS as TIERS
from relayd.wire.walk import BodyPolicy

MASK: Final = "[credential]"
HANDSHAKE_KEY: Final = b"[random]"
ACCOUNT: Final = "acct_reflected"
_KEYS: Final = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
_MADE_NEW: Final = frozenset({"host", "content-type", "content-length", "accept",
                              "accept-encoding", "user-agent", "transfer-encoding", "connection",
                              "upgrade", "sec-websocket-key", "sec-websocket-version"})
_OTHER_MODELS: Final = frozenset({"fallbacks", "generationConfig.routingConfig", "tools.advisor",
                                  "tools.fusion", "tools.image_generation", "tools.subagent"})
_READ: Final = frozenset({"anthropic-version", "anthropic-beta", "openai-beta",
                          "sec-websocket-protocol"})


@dataclass(slots=True)
class Reflection:
    """`upstream` are the bytes that would be sent, None where the request is refused (`refused`
    is the code then, `param` the field) or answered here. `notes` are (what, verdict, why)."""

    provider: str | None = None
    upstream: bytes | None = field(default=None, repr=False)
    refused: str | None = None
    param: str | None = None
    notes: list[tuple[str, str, str]] = field(default_factory=list)


class Reflector:
    """Answers for one configuration. `secret` derives pseudonyms, as the store's does."""

    def __init__(self, config: Config, secret: bytes, boundary: str, now_ms: int) -> None:
        self._config = config
        self._secret = secret
        self._boundary = boundary
        self._epoch = epoch_of(now_ms)

    def reflect(self, raw: bytes, provider: str | None = None) -> Reflection:
        """Reads `raw` (a head, an empty line, a body) as the relay would; never raises for it."""
        found = Reflection()
        try:
            self._reflect(raw, provider, found)
        except RelayError as error:
            found.refused = error.code
            found.param = error.param
            found.notes.append((error.param or "request", "refused", error.kind.message))
        return found

    def _reflect(self, raw: bytes, wanted: str | None, found: Reflection) -> None:
        server = self._config.server
        raw = behind_empty_lines(_with_crlf(raw, found))
        end = raw.find(b"\r\n\r\n") + 4
        if end < 4:
            raise RelayError("bad_http")
        head = read_head(raw[:end], head_limits(server))
        target = target_of(head.path, suggested_api(head.fields, head.query))
        _note_head(raw[:end], found)
        if target.kind == "socket":
            self._handshake(head, wanted, found)
            return
        if target.kind == "models" and head.method in (b"GET", b"HEAD"):
            found.notes.append(("request", "answered", "the relay lists its own models"))
            return
        if head.path == SOCKET_PATH and wants_websocket(head):
            self._socket(head, found)
            return
        if target.endpoint is None or head.method != b"POST":
            raise RelayError("stateful_endpoint" if target.kind == "stateful" else "not_found")
        multipart = target.endpoint.body == "multipart"
        if multipart:
            check_uncoded(head)
        body = _body(head, raw[end:], server.max_body_bytes)
        if multipart:
            self._upload(head, target.endpoint, body, wanted, found)
        else:
            self._json(head, target, body, wanted, found)

    def _handshake(self, head: RequestHead, wanted: str | None, found: Reflection) -> None:
        asked = read_handshake(head)
        provider, deployment = self._place(asked.model, REALTIME, wanted)
        for name in asked.dropped:
            found.notes.append((f"header {name}", "dropped", "not in the list of known features"))
        found.provider = provider.name
        found.upstream = upstream_handshake(
            provider, MASK, deployment.model or asked.model, HANDSHAKE_KEY, asked.beta,
            self._names(provider).end_user(None))

    def _socket(self, head: RequestHead, found: Reflection) -> None:
        if not self._config.server.responses_websocket:
            raise RelayError("websocket_not_served")
        read_plain(head)
        found.notes.append(("request", "answered", "the relay ends the socket itself; each "
                            "response.create is sent as the same POST is"))

    def _json(self, head: RequestHead, target: Target, body: bytes, wanted: str | None,
              found: Reflection) -> None:
        endpoint = target.endpoint
        assert endpoint is not None
        ask = read(endpoint, body, self._policy(endpoint), target.model)
        provider, deployment = self._place(ask.model, endpoint, wanted)
        model = deployment.model or ask.model
        known = TABLES[endpoint.operation].names.ranks
        for name in ask.dropped:
            found.notes.append((f"body {name}", "dropped", _why(name, known)))
        if model != ask.model:
            found.notes.append(("body model", "replaced", "the deployment names its own"))
        sent = write(ask, model, self._names(provider), stream_usage=provider.stream_usage,
                     unstored=provider.keeps_unless_told and endpoint.operation == "chat")
        self._finish(head, endpoint, provider, (model, ask.stream, sent), found)

    def _upload(self, head: RequestHead, endpoint: Endpoint, body: bytes, wanted: str | None,
                found: Reflection) -> None:
        upload = Upload(endpoint, head.fields.get(b"content-type", b""), self._policy(endpoint),
                        self._boundary)
        upload.feed(body)
        upload.finish()
        if upload.model is None:
            raise RelayError("missing_model", param="model")
        provider, deployment = self._place(upload.model, endpoint, wanted)
        model = deployment.model or upload.model
        for name in upload.dropped:
            found.notes.append((f"body {name}", "dropped", "not in this endpoint's table"))
        sent = b"".join(upload.take(model, self._names(provider)))
        self._finish(head, endpoint, provider, (model, upload.stream, sent), found)

    def _finish(self, head: RequestHead, endpoint: Endpoint, provider: Provider,
                sent: tuple[str, bool, bytes], found: Reflection) -> None:
        model, stream, body = sent
        client = client_fields(
            endpoint, head.fields, head.query, self._config.privacy.product_betas)
        for name in client.dropped:
            found.notes.append((f"header {name}", "dropped", "not in the list of known features"))
        fixed = UpstreamHead(provider, endpoint, MASK, stream, self._boundary)
        found.provider = provider.name
        found.upstream = fixed.write(model, client, len(body)) + body

    def _place(
        self, model: str, endpoint: Endpoint, wanted: str | None
    ) -> tuple[Provider, Deployment]:
        route = Routes.of(self._config.routes).find(model)
        if route is None:
            raise RelayError("unknown_model", param="model")
        for deployment in route.deployments:
            provider = self._config.providers[deployment.provider]
            if provider.dialect == endpoint.api and wanted in (None, provider.name):
                sends = deployment.model or (route.pattern if model in route.aliases else None)
                return replace(provider, credentials=(MASK,)), replace(deployment, model=sends)
        raise RelayError("unknown_model", param="model")

    def _policy(self, endpoint: Endpoint) -> BodyPolicy:
        return body_policy(self._config, endpoint.api)

    def _names(self, provider: Provider) -> Pseudonyms:
        privacy = self._config.privacy
        return Pseudonyms(provider_key(self._secret, provider.name, self._epoch), ACCOUNT,
                          privacy.end_user, privacy.cache_key)


def _with_crlf(raw: bytes, found: Reflection) -> bytes:
    """A request that was written down in an editor: its lines end in LF alone."""
    head, gap, body = raw.partition(b"\n\n")
    if not gap or b"\r" in head:
        return raw
    found.notes.append(("lines", "replaced", "end in LF alone, which the relay itself refuses"))
    return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


def _body(head: RequestHead, data: bytes, body_bytes_max: int) -> bytes:
    if head.chunked:
        pieces, _ = ChunkedReader().feed(data)
        data = b"".join(pieces)
    elif head.content_length is not None:
        data = data[:head.content_length]
    coding = head.fields.get(b"content-encoding")
    return data if coding is None else decode(data, coding, body_bytes_max)


def _why(name: str, known: Container[str]) -> str:
    """Why a member of a JSON body is not sent."""
    if name.partition(".")[0] not in known:
        return "no table knows this field"
    if name in TIERS:
        return "a tier that may cost more than the list price; [billing] paid_tiers lets it pass"
    if name in _OTHER_MODELS:
        return "another model than the one that is asked for would answer"
    if name == "response_format":
        return "the image itself is asked for; its address would lead the client to the provider"
    return "names or tags the client, or is kept by the provider"


def _note_head(raw: bytes, found: Reflection) -> None:
    """What becomes of each header field; its value is never repeated."""
    for line in raw.split(b"\r\n")[1:-2]:
        name = line.partition(b":")[0].decode("latin-1").lower()
        if name in _KEYS:
            note = "replaced", "the client's key ends here; the operator's credential is sent"
        elif name in _MADE_NEW:
            note = "replaced", "written anew, the same for every client"
        elif name in _READ:
            note = "read", "passes value by value, as far as a closed list knows it"
        else:
            note = "dropped", "only listed fields are ever sent"
        found.notes.append((f"header {name}", *note))
