"""The view: one assignment swaps the policy; what was read before stays as it was."""

from relayd.core.snapshot import Snapshot
from relayd.relay.view import View


def test_publish() -> None:
    view = View()
    before = view.current
    view.publish(Snapshot(7, {}))
    assert (before.version, view.current.version) == (0, 7)
