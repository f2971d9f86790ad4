"""What the journal says of a call: that it was opened, how far it has come, how it was closed.

A call's lines are one `Opening` before the first byte goes upstream, any number of `Mark`s, and
one close, which is the `CallRecord` itself. Ids, counts and times only.
"""

from __future__ import annotations

from typing import Final

import msgspec

from relayd.core.record import CallRecord
from relayd.core.usage import Beside, Seen, Usage, usage_of

DAEMON_DIED: Final = "daemon_died"
"""The error of a call whose close the daemon did not live to write."""


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
    provider has reported so far, or, where it is not `told`, what is beside no report.
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
    told: bool = True


def interrupted(opening: Opening, mark: Mark | None) -> CallRecord:
    """The record of a call that was opened and never closed: what its last mark knew.

    Without a mark one attempt is assumed: the opening is written just before it.
    """
    far = mark or Mark(opening.id, opening.provider, opening.provider_model, 1, 0, None, None,
                       False, None, None)
    known = far.usage
    if known is not None and not far.told:
        known = Beside(*(getattr(known, name) for name in known.__struct_fields__))
    usage, source = usage_of("died", Seen(
        known, False, far.counted_input_tokens, far.counted_output_tokens, far.exact))
    return CallRecord(
        opening.id, opening.started_at_ms, opening.account, opening.key, opening.app, opening.api,
        opening.endpoint, opening.model, far.provider, far.provider_model, opening.stream,
        far.status, "interrupted", DAEMON_DIED, far.attempts, usage.input_tokens,
        usage.output_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens,
        usage.reasoning_output_tokens, usage.audio_input_tokens, usage.audio_output_tokens,
        far.counted_input_tokens, far.counted_output_tokens, source, 0, "USD", far.first_byte_ms,
        None, usage.cache_creation_1h_input_tokens, usage.image_input_tokens,
        usage.image_output_tokens, usage.images, usage.audio_seconds, usage.searches,
    )
