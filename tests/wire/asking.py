"""Reads and writes one body as the relay does: what the tests of the field tables share."""

from __future__ import annotations

import json
from typing import Any

from relayd.core.errors import RelayError
from relayd.wire.body import TABLES, Ask, read, write
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.identity import Pseudonyms
from relayd.wire.walk import BodyPolicy

KEY = b"k" * 32


def ask(operation: str, body: object, **policy: Any) -> Ask:
    """The reading of `body`, a JSON value or raw bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(BY_OPERATION[operation], raw, BodyPolicy(**policy), "gemini-x")


def sent(
    operation: str, body: object, unstored: bool = False, **policy: Any
) -> dict[str, Any]:
    """What the provider receives for `body`; in written order."""
    names = Pseudonyms(KEY, "acct_1", policy.get("end_user", "absent"),
                       policy.get("cache_key", "hashed"))
    asked = ask(operation, body, **policy)
    found: dict[str, Any] = json.loads(write(
        asked, asked.model, names, unstored=unstored))
    return found


def dropped(operation: str, body: object, **policy: Any) -> tuple[str, ...]:
    """The names that are reported."""
    return ask(operation, body, **policy).dropped


def refusal(operation: str, body: object, **policy: Any) -> tuple[str, str | None] | None:
    """(code, param) where the body is refused, else None."""
    try:
        ask(operation, body, **policy)
    except RelayError as error:
        return error.code, error.param
    return None


def known(operation: str) -> set[str]:
    """The top-level fields that the table has a verdict for."""
    return set(TABLES[operation].names.verdicts)


def annotations(*types: type) -> set[str]:
    """The fields of an SDK's parameter types, those of their base classes included."""
    return {name for kind in types for name in kind.__annotations__}
