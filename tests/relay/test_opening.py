"""What an exchange tells the journal: before it is sent, and how far it has come."""

from __future__ import annotations

from relayd.core.snapshot import KeyGrant
from relayd.core.usage import Beside, Usage
from relayd.relay.opening import mark, opening
from tests.relay.test_exchange import exchange


def test_an_exchange_that_has_not_been_counted_yet() -> None:
    made = exchange()
    made.grant = KeyGrant("key_1", "acct_1", "app", None, None, False)
    made.model, made.provider, made.provider_model = "asked", "theirs", "sent"
    line = opening(made)
    assert (line.id, line.account, line.key, line.app) == (made.id, "acct_1", "key_1", "app")
    assert (line.model, line.provider, line.provider_model) == ("asked", "theirs", "sent")
    far = mark(made)
    assert (far.id, far.attempts, far.counted_input_tokens, far.counted_output_tokens, far.exact,
            far.usage, far.first_byte_ms) == (made.id, 0, None, None, False, None, None)
    made.first_byte = made.started + 0.25
    assert mark(made).first_byte_ms == 250.0
    made.usage = Usage(3)
    assert mark(made).told
    made.usage = Beside(images=1)
    assert not mark(made).told
