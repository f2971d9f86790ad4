"""WebSocket handshakes (RFC 6455 section 4), towards clients and towards providers.

Client side: what a client asks for is checked, and what of it may influence the upstream handshake
is taken out: the model of its query, and one beta word. Upstream side: built from nothing, like
every upstream head. No extension and no subprotocol is ever offered to a provider, so that two
clients' handshakes differ in the model and the beta alone.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from typing import Final
from urllib.parse import parse_qs, quote

from relayd.core.errors import RelayError
from relayd.core.provider import Provider
from relayd.wire.dialect import MODEL_NAME
from relayd.wire.headers import constants, host_of, own_fields
from relayd.wire.http import RequestHead

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION: Final = b"13"
KEY_BYTES: Final = 16
BETAS: Final = frozenset({b"realtime=v1"})
"""The beta of 2025 and the general API speak of the same things in other words."""
_BETA_PROTOCOL: Final = b"openai-beta.realtime-v1"
"""How a browser, which cannot set a header, asks for the beta."""
PROTOCOL: Final = b"realtime"
"""The only subprotocol of the API that is one; the others carry a key or a beta."""
HEAD_BYTES_MAX: Final = 32 * 1024
QUERY_FIELDS_MAX: Final = 16
_MODEL_FIELDS: Final = ("model", "deployment")
"""`deployment` is how Azure's clients name it."""
_OWN: Final = frozenset({
    "origin", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol",
    "sec-websocket-extensions", "openai-safety-identifier",
})
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [^\r\n]*)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's handshake that may be accepted. `beta` is b"" where none was asked for."""

    model: str
    accept: bytes
    protocol: bytes
    beta: bytes
    dropped: tuple[str, ...]


def accept_of(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept for a key, as it stands in its field (section 4.2.2)."""
    return b64encode(sha1(key + GUID, usedforsecurity=False).digest())


def wants_websocket(head: RequestHead) -> bool:
    """Whether this is an upgrade to WebSocket, sound or not."""
    fields = head.fields
    return (
        head.method == b"GET" and fields.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in _words(fields.get(b"connection", b""))
    )


def read_handshake(head: RequestHead) -> Asked:
    """Checks a client's handshake; raises upgrade_required, upgrade_refused or what is wrong with
    its model. A body before the upgrade would be read by one side as frames: refused.
    """
    accept = _accept(head)
    fields = head.fields
    beta, dropped = _beta(fields)
    protocols = _words(fields.get(b"sec-websocket-protocol", b""))
    protocol = PROTOCOL if PROTOCOL in protocols else b""
    return Asked(_model(head.query), accept, protocol, beta, dropped)


def read_plain(head: RequestHead) -> Asked:
    """Checks a handshake that names no model; raises upgrade_required or upgrade_refused."""
    return Asked("", _accept(head), b"", b"", ())


def _accept(head: RequestHead) -> bytes:
    """What a sound handshake is accepted with."""
    fields = head.fields
    if not wants_websocket(head) or fields.get(b"sec-websocket-version") != VERSION:
        raise RelayError("upgrade_required", close=True)
    key = fields.get(b"sec-websocket-key", b"")
    if head.minor != 1 or head.content_length or head.chunked or not _is_key(key):
        raise RelayError("upgrade_refused", close=True)
    return accept_of(key)


def accepting(asked: Asked) -> list[tuple[bytes, bytes]]:
    """The fields of the 101 that a client gets."""
    fields = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"),
              (b"sec-websocket-accept", asked.accept)]
    if asked.protocol:
        fields.append((b"sec-websocket-protocol", asked.protocol))
    return fields


def _words(value: bytes) -> list[bytes]:
    return [word.strip() for word in value.lower().split(b",")]


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == KEY_BYTES
    except (Base64Error, ValueError):
        return False


def _beta(fields: Mapping[bytes, bytes]) -> tuple[bytes, tuple[str, ...]]:
    asked = {word for word in _words(fields.get(b"openai-beta", b"")) if word}
    if _BETA_PROTOCOL in _words(fields.get(b"sec-websocket-protocol", b"")):
        asked.add(b"realtime=v1")
    passed = b",".join(sorted(asked & BETAS))
    return passed, ("openai-beta",) if asked - BETAS else ()


def _model(query: str) -> str:
    try:
        given = parse_qs(query, max_num_fields=QUERY_FIELDS_MAX, errors="strict")
    except ValueError:
        raise RelayError("invalid_field", param="model") from None
    if "call_id" in given:
        raise RelayError("refused_field", param="call_id")  # a call that the provider keeps
    named = [name for field in _MODEL_FIELDS for name in given.get(field, ())]
    if not named:
        raise RelayError("missing_model", param="model")
    if len(named) > 1 or MODEL_NAME.fullmatch(named[0]) is None:
        raise RelayError("invalid_field", param="model")
    return named[0]


# Upstream side.


def upstream_handshake(
    provider: Provider, credential: str, model: str, key: bytes, beta: bytes, end_user: str | None
) -> bytes:
    """The whole handshake for one provider; `key` is that of Sec-WebSocket-Key.

    `end_user` is the pseudonym that stands for the client, if one does. Azure takes the model as
    `model` under /openai/v1, as `deployment` where the provider has an `api_version`.
    """
    lines = [
        f"GET {_target(provider, model)} HTTP/1.1",
        "Host: " + host_of(provider),
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + key.decode("ascii"),
        *own_fields(provider, credential),
        "User-Agent: relayd",
        *(f"{name}: {value}" for name, value in constants(provider) if name.lower() not in _OWN),
    ]
    if beta:
        lines.append("OpenAI-Beta: " + beta.decode("ascii"))
    if end_user is not None:
        lines.append("OpenAI-Safety-Identifier: " + end_user)
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _target(provider: Provider, model: str) -> str:
    path = provider.address.path
    name = quote(model, safe="")
    if provider.api == "azure" and provider.api_version is not None:
        version = quote(provider.api_version, safe="")
        return f"{path}/openai/realtime?api-version={version}&deployment={name}"
    return f"{path}/realtime?model={name}"


def read_answer(data: bytes) -> tuple[int, bytes, int] | None:
    """(status, head, where what follows the head begins) of a provider's answer.

    None where its head is not whole yet; interim answers other than 101 are read over. Raises
    upstream_protocol for what is no answer or is too long.
    """
    start = 0
    while True:
        end = data.find(b"\r\n\r\n", start)
        if end < 0:
            if len(data) > HEAD_BYTES_MAX:
                raise RelayError("upstream_protocol")
            return None
        head = data[start:end + 2]
        match = _STATUS.fullmatch(head.partition(b"\r\n")[0])
        if match is None or end > HEAD_BYTES_MAX:
            raise RelayError("upstream_protocol")
        status = int(match[1])
        if status == 101 or status >= 200:
            return status, head, end + 4
        start = end + 4


def check_accepted(head: bytes, key: bytes) -> None:
    """Raises upstream_protocol unless a 101's head accepts the handshake with this key and
    nothing beyond it (section 4.1)."""
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\r\n")[1:-1]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.strip() != name:
            raise RelayError("upstream_protocol")
        fields.setdefault(name.lower(), []).append(value.strip())
    sound = (
        [value.lower() for value in fields.get(b"upgrade", ())] == [b"websocket"]
        and b"upgrade" in _words(b",".join(fields.get(b"connection", ())))
        and fields.get(b"sec-websocket-accept") == [accept_of(key)]
        and b"sec-websocket-extensions" not in fields
        and b"sec-websocket-protocol" not in fields
    )
    if not sound:
        raise RelayError("upstream_protocol")
