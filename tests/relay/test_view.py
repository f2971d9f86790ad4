"""The view: one assignment swaps the policy; what was read before stays as it was."""

from relayd.core.snapshot import Snapshot
from relayd.relay.view import View


def test_publish() -> None:
    view = View()
    before = view.current
    view.publish(Snapshot(7, {}))
    assert (before.version, view.current.version) == (0, 7)


def test_the_line_of_the_policy_in_force() -> None:
    view = View()
    assert view.line == b""
    view.publish(Snapshot(1, {}, edition=12))
    assert view.line == b"relay-policy-version: 12\r\n"
    view.publish(Snapshot(2, {}))
    assert view.line == b""
