"""The recorded requests of real clients as bytes, and what makes two of them equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from relayd.wire.dialect import Endpoint, Target, suggested_api, target_of
from relayd.wire.headers import client_fields

FORM = (b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n',
        b'Content-Disposition: form-data; name="file"; filename="mine.wav"\r\n\r\nRIFF\r\n')
"""The parts of an upload: the recordings keep the start of theirs alone."""
IDENTITY = frozenset({"user", "safety_identifier", "metadata", "client_metadata", "store",
                      "prompt_cache_key"})
BILLING = "x-anthropic-billing-header"


@dataclass(frozen=True)
class Sent:
    """One recorded request."""

    client: str
    case: str
    line: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    body: Any = field(repr=False)

    @property
    def id(self) -> str:
        """A name for it."""
        return f"{self.client}-{self.case}-{self.line.split(' ')[0]}"

    @property
    def method(self) -> str:
        """The request's method."""
        return self.line.split(" ")[0]

    @cached_property
    def low(self) -> dict[bytes, bytes]:
        """The fields by lower-case name."""
        return {name.lower().encode(): value.encode() for name, value in self.fields}

    @cached_property
    def query(self) -> str:
        """The raw query."""
        return self.line.split(" ")[1].partition("?")[2]

    @cached_property
    def target(self) -> Target:
        """What its path means to the relay."""
        path = self.line.split(" ")[1].partition("?")[0]
        return target_of(path, suggested_api(self.low, self.query))

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint, where it is a call."""
        return self.target.endpoint

    def raw(self, key: str) -> bytes:
        """The request with a key that works; its own fields, in its own order and casing."""
        body = self._body()
        lines = [self.line.replace("<key>", key)]
        for name, value in self.fields:
            if name.lower() == "content-length":
                value = str(len(body))
            lines.append(f"{name}: {value.replace('<key>', key)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def _body(self) -> bytes:
        kind = self.low.get(b"content-type", b"").decode()
        if kind.startswith("multipart/"):
            line = f"--{kind.partition('boundary=')[2]}".encode()
            return b"".join(line + b"\r\n" + part for part in FORM) + line + b"--\r\n"
        if self.body is None:
            return b""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def question(self) -> str:
        """What it asks, without who asks: equal for two that must look the same upstream."""
        assert self.endpoint is not None
        asked = client_fields(self.endpoint, self.low, self.query)
        return json.dumps([self.endpoint.operation, self.target.model, repr(asked),
                           self._asked_body()], sort_keys=True)

    def _asked_body(self) -> Any:
        if not isinstance(self.body, dict):
            return None
        body = {k: v for k, v in self.body.items() if k not in IDENTITY and v is not None}
        if body.get("stream") is False:
            del body["stream"]
        if self.endpoint is not None and self.endpoint.operation == "chat":
            body.pop("stream_options", None)
        if isinstance(body.get("system"), list):
            body["system"] = [b for b in body["system"] if BILLING not in str(b)]
        return body


def recordings(root: Path) -> Iterator[Sent]:
    """Every request of every client."""
    for path in sorted(root.glob("*.json")):
        told = json.loads(path.read_text("utf-8"))
        for case in told["cases"]:
            for request in case["requests"]:
                fields = tuple((str(n), str(v)) for n, v in request["headers"])
                yield Sent(told["client"], case["case"], request["request_line"], fields,
                           request.get("body"))
