"""What the journal says of a call: that it was opened, how far it has come, how it was closed.

A call's lines are one `Opening` before the first byte goes upstream, any number of `Mark`s, and
one close, which is the `CallRecord` itself. Ids, counts and times only.
"""

from __future__ import annotations

import msgspec

from relayd.core.usage import Usage


class Opening(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call that is about to be sent upstream; the fields are those of its record."""

    id: str
    started_at_ms: int
    account: str
    key: str
    app: str | None
    api: str
    endpoint: str
    model: str | None
    provider: str | None
    provider_model: str | None
    stream: bool


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far an open call has come; a later mark of the same call replaces an earlier one.

    `exact` says that the counts are those of the model's own tokenizer; `usage` is what the
    provider has reported so far.
    """

    id: str
    provider: str | None
    provider_model: str | None
    attempts: int
    status: int
    counted_input_tokens: int | None
    counted_output_tokens: int | None
    exact: bool
    usage: Usage | None
    first_byte_ms: float | None
