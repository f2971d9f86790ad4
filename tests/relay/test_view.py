"""The view: one assignment swaps the policy; what was read before stays as it was."""

from relayd.core.limit import OwnLimits
from relayd.core.snapshot import KeyGrant, Snapshot
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


def test_grants_with_budgets_are_told_of_once_also_those_of_snapshots_in_between() -> None:
    grants = [KeyGrant(name, "a", None, None, None, False, OwnLimits({"daily_budget": 1}))
              for name in ("k1", "k2", "k3")]
    view = View(Snapshot(1, {}, grants[:1]))
    view.publish(Snapshot(2, {}, grants[1:]))
    view.publish(Snapshot(3, {}))
    assert view.take_budgeted(2) == grants[:2]
    assert view.take_budgeted(2) == grants[2:]
    assert view.take_budgeted(2) == []
