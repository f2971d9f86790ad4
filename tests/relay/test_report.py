"""The tap that reads nothing."""

from __future__ import annotations

import pytest

from relayd.relay.report import Report, Tap


@pytest.mark.parametrize("clean", [True, False])
def test_a_reply_that_is_not_read(clean: bool) -> None:
    tap = Tap()
    data = b"\x00\xff sound"
    assert tap.passes_all and tap.feed(data) is data and tap.flush() == b""
    assert not tap.at_boundary and tap.usage_so_far() is None
    assert tap.finish(clean) == Report(None, clean, None, True)
